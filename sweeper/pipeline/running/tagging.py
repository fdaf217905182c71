"""A tracker that adds to some trainings why they are there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sweeper.records import TrainingRecord
    from sweeper.tracking.tracker import TrackedResults, Tracker, TrainingStart


class TaggingTracker:
    """A `Tracker` that hands everything on, some trainings with tags of their own.

    Args:
        tracker: Keeps what it is handed.
        tags: By train_id, such as the rule by which a search chose the training.
    """

    def __init__(self, tracker: Tracker, tags: Mapping[str, Mapping[str, str]]) -> None:
        self._tracker, self._tags = tracker, tags

    def prepare(self, sweep: str, plan: Mapping[str, Any]) -> None:
        """See `Tracker`."""
        self._tracker.prepare(sweep, plan)

    def begin_training(self, start: TrainingStart) -> None:
        """See `Tracker`."""
        self._tracker.begin_training(start)

    def log_epochs(
        self, sweep: str, train_id: str, epochs: Mapping[int, Mapping[str, float]]
    ) -> None:
        """See `Tracker`."""
        self._tracker.log_epochs(sweep, train_id, epochs)

    def close_interrupted(self, sweep: str, running: Collection[str]) -> None:
        """See `Tracker`."""
        self._tracker.close_interrupted(sweep, running)

    def log_training(self, record: TrainingRecord) -> str:
        """See `Tracker`; the training gets its own tags."""
        own = self._tags.get(record.train_id)
        if own is not None:
            record = replace(record, tags={**record.tags, "stage": "table", **own})
        return self._tracker.log_training(record)

    def logged(self, sweep: str) -> dict[str, set[str]]:
        """See `Tracker`."""
        return self._tracker.logged(sweep)

    def results(self, sweeps: Sequence[str] | None = None) -> TrackedResults:
        """See `Tracker`."""
        return self._tracker.results(sweeps)
