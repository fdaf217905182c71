"""What `sweeper score` is asked for, and what it says became of the masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRequest:
    """What a person asked for.

    Attributes:
        folder: One mask file a case.
        method: Name of the row.
        source: Domain the tool was trained on, as the user says.
        seed: The same of its seed.
        structure: Structure that the masks show; the dataset's only one by default.
        label: Its value in the files; every value above 0 by default.
        sweep: Sweep whose table gets the row; the latest by default.
    """

    folder: Path
    method: str
    source: str
    seed: int = 0
    structure: str | None = None
    label: int | None = None
    sweep: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreOutcome:
    """What became of the masks.

    Attributes:
        sweep: Sweep that has the rows now.
        scored: Cases with numbers.
        regridded: Those of them whose file had another grid.
        missing: Target cases without a file; their rows are undefined.
        unusable: Case to reason; their rows are undefined too.
        empty: Cases whose mask shows nothing; their Dice is 0.
        untested: Cases of the source itself that have a file; their numbers would be no test.
        unmatched: Files that are named after no case.
    """

    sweep: str
    scored: tuple[str, ...]
    regridded: tuple[str, ...]
    missing: tuple[str, ...]
    unusable: dict[str, str]
    empty: tuple[str, ...]
    untested: tuple[str, ...]
    unmatched: tuple[str, ...]
