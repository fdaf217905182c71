"""What can be wrong with a dataset, said in one line each: file, problem, remedy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sweeper.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Severity(StrEnum):
    """Whether a fault keeps its case out of a dataset."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong, as the user sees it.

    Attributes:
        code: Stable short name, such as `label-empty`.
        where: The file, or the site or folder, relative to the source where it lies in it.
        problem: What is wrong with which value.
        remedy: What to do about it.
        severity: Errors keep the case out; warnings do not.
        case: The case that cannot be imported because of it; None for a fault of the whole source.
    """

    code: str
    where: str
    problem: str
    remedy: str
    severity: Severity = Severity.ERROR
    case: str | None = None

    def line(self) -> str:
        """The one line that the user reads."""
        return f"{self.severity.value} [{self.code}] {self.where}: {self.problem}; {self.remedy}"


class FaultyDataError(DataError):
    """A source has faults that keep it, or some of its cases, from being imported.

    Attributes:
        faults: All of them, found in one pass.
    """

    def __init__(self, message: str, faults: Sequence[Fault]) -> None:
        super().__init__(message)
        self.faults = tuple(faults)


def named_alike(first: Path, second: Path, root: Path, case: str) -> Fault:
    """Two files for one place of a case, such as `Case00.nii` beside `Case00.nii.gz`."""
    return Fault(
        code="case-duplicate",
        where=relative(second, root),
        problem=f"case {case} has {relative(first, root)} already",
        remedy="remove one of the two, or give it a name of its own",
        case=case,
    )


def errors(faults: Sequence[Fault]) -> tuple[Fault, ...]:
    """Those that keep a case, or the whole source, out."""
    return tuple(fault for fault in faults if fault.severity is Severity.ERROR)


def relative(path: Path, root: Path) -> str:
    """`path` as text, relative to `root` where it lies in it."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
