"""One thing that is wrong in a workspace, and how `sweeper doctor --repair` treats it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A damaged file, store or run.

    Attributes:
        path: Where the damage is.
        problem: What is wrong, in one line.
        remedy: What makes it whole again, after `--repair` where that does something.
        aside: Files and folders that `--repair` moves aside.
        slices: Slices of the embedding store at `path` that `--repair` gives up.
        runs: MLflow's ids of the runs that `--repair` hides.
    """

    path: Path
    problem: str
    remedy: str
    aside: tuple[Path, ...] = ()
    slices: tuple[int, ...] = ()
    runs: tuple[str, ...] = ()

    @property
    def is_repairable(self) -> bool:
        """True if `--repair` does something about it."""
        return bool(self.aside or self.slices or self.runs)
