"""Faults of a dataset, each reported in one line: file, problem, remedy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sweeper.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Severity(StrEnum):
    """Whether a fault excludes its case from the dataset."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault as the user sees it.

    Attributes:
        code: Stable short name, such as `label-empty`.
        where: The file, site or folder; a path in the source is relative to it.
        problem: What is wrong, with the value.
        remedy: How to fix it.
        severity: An error excludes the case; a warning does not.
        case: The case that the fault concerns; None if it concerns the whole source.
    """

    code: str
    where: str
    problem: str
    remedy: str
    severity: Severity = Severity.ERROR
    case: str | None = None

    def line(self) -> str:
        """The line that is printed."""
        return f"{self.severity.value} [{self.code}] {self.where}: {self.problem}; {self.remedy}"


class FaultyDataError(DataError):
    """A source has faults because of which it, or some of its cases, cannot be imported.

    Attributes:
        faults: All faults of the source.
    """

    def __init__(self, message: str, faults: Sequence[Fault]) -> None:
        super().__init__(message)
        self.faults = tuple(faults)


def duplicate_file(first: Path, second: Path, root: Path, case: str) -> Fault:
    """Fault: a second file of the same case, such as `Case00.nii` beside `Case00.nii.gz`."""
    return Fault(
        code="case-duplicate",
        where=relative(second, root),
        problem=f"case {case} already has {relative(first, root)}",
        remedy="remove or rename one of the two",
        case=case,
    )


def errors(faults: Sequence[Fault]) -> tuple[Fault, ...]:
    """Only the faults that exclude a case or the whole source."""
    return tuple(fault for fault in faults if fault.severity is Severity.ERROR)


def relative(path: Path, root: Path) -> str:
    """`path` as text, relative to `root` if it is inside it."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
