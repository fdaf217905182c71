"""Interface through which a pipeline reports its progress; the command line implements it."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class Ending(StrEnum):
    """The word that is shown when an attempt at a training ends."""

    DONE = "done"
    FAILED = "failed"
    PRUNED = "pruned"
    TAKEN = "taken"
    """Another process runs it."""
    AGAIN = "again"
    """It will run again."""
    PAUSED = "paused"
    """It was stopped together with its sweep, after a checkpoint."""


class Display(Protocol):
    """Receives progress."""

    def say(self, text: str) -> None:
        """Show one permanent line."""

    def phase(self, text: str) -> None:
        """A new phase starts."""

    def advance(self, done: int, total: int, unit: str) -> None:
        """The progress of the phase."""

    def begin(self, total: int, workers: int) -> None:
        """A sweep of `total` trainings starts."""

    def started(self, name: str) -> None:
        """A training has started."""

    def epoch(self, name: str, epoch: int, epochs: int) -> None:
        """A training has finished an epoch (0-based) of `epochs`."""

    def ended(self, name: str, state: Ending, note: str) -> None:
        """An attempt at a training has ended."""

    def close(self) -> None:
        """The sweep has ended."""


class Silent:
    """A display that shows nothing, for use from Python."""

    def say(self, text: str) -> None:
        """Nothing."""

    def phase(self, text: str) -> None:
        """Nothing."""

    def advance(self, done: int, total: int, unit: str) -> None:
        """Nothing."""

    def begin(self, total: int, workers: int) -> None:
        """Nothing."""

    def started(self, name: str) -> None:
        """Nothing."""

    def epoch(self, name: str, epoch: int, epochs: int) -> None:
        """Nothing."""

    def ended(self, name: str, state: Ending, note: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""
