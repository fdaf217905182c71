"""What a pipeline tells the person who waits; the command line decides how it looks."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class Ending(StrEnum):
    """How the end of an attempt is shown."""

    DONE = "done"
    FAILED = "failed"
    PRUNED = "pruned"
    TAKEN = "taken"
    AGAIN = "again"
    """It will be run again."""
    PAUSED = "paused"
    """It was stopped with its sweep, and keeps its checkpoint."""


class Display(Protocol):
    """Told what is being done now, and how far it is."""

    def say(self, text: str) -> None:
        """One line that stays."""

    def phase(self, text: str) -> None:
        """What begins now."""

    def advance(self, done: int, total: int, unit: str) -> None:
        """How far the phase is."""

    def begin(self, total: int, workers: int) -> None:
        """A sweep of `total` trainings begins."""

    def started(self, name: str) -> None:
        """A training has begun."""

    def epoch(self, name: str, epoch: int, epochs: int) -> None:
        """A training has ended an epoch (0-based) of `epochs`."""

    def ended(self, name: str, state: Ending, note: str) -> None:
        """An attempt at a training has ended."""

    def close(self) -> None:
        """The sweep has ended."""


class Silent:
    """A display for programs: it shows nothing."""

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
