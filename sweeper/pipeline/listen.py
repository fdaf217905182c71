"""The driver's ear: what Ray tells of a sweep goes to the display, the ledger and MLflow."""

from __future__ import annotations

from collections import Counter
from statistics import fmean
from typing import TYPE_CHECKING, Any

from sweeper.errors import TrackingError
from sweeper.pipeline.curves import LiveCurves
from sweeper.pipeline.overlays import draw_overlays
from sweeper.pipeline.record import training_record
from sweeper.records import FailureReason, TrainingRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweeper.pipeline.display import Display
    from sweeper.plan.expand import Training
    from sweeper.store.ledger import Ledger
    from sweeper.tracking.tracker import Tracker

_SAME_BUG_LIMIT = 3


class SweepListener:
    """Told of every event of a sweep by the engine; the only writer of MLflow.

    Attributes:
        failed: Message and log by train_id of what failed in this run.
    """

    def __init__(
        self,
        sweep: str,
        trainings: Mapping[str, Training],
        ledger: Ledger,
        tracker: Tracker,
        display: Display,
    ) -> None:
        self._sweep, self._trainings, self._ledger = sweep, trainings, ledger
        self._tracker, self._display = tracker, display
        self._curves = LiveCurves(sweep, tracker, display)
        self._bugs: Counter[str] = Counter()
        self._n_done = 0
        self.failed: dict[str, str] = {}

    def on_start(self, train_id: str) -> None:
        """A training has begun."""
        self._display.started(self._name(train_id))
        self._curves.begin(self._trainings[train_id])

    def on_epoch(self, train_id: str, epoch: dict[str, Any]) -> None:
        """An epoch has ended."""
        epochs = self._trainings[train_id].config.training.epochs
        self._display.epoch(self._name(train_id), int(epoch["epoch"]), epochs)
        self._curves.add(train_id, epoch)

    def on_end(self, train_id: str, is_lost: bool) -> bool:
        """A training has ended; True stops a sweep in which the same bug came three times."""
        training, folder = self._trainings[train_id], self._ledger.folder(train_id)
        if is_lost and folder.failure() is None:
            folder.write(
                "failure",
                {
                    "reason": FailureReason.LOST_NODE.value,
                    "message": "its process was killed or its machine was lost",
                    "traceback_hash": "lost",
                    "log_path": str(folder.log),
                },
            )
        self.keep(training)
        failure, name = folder.failure(), self._name(train_id)
        if failure is not None:
            note = f"{failure['reason']}: {failure['message']}; log {failure['log_path']}"
            self.failed[train_id] = note
            self._display.ended(name, "failed", note)
            self._bugs[failure["traceback_hash"]] += failure["reason"] == FailureReason.BUG
            return self._n_done == 0 and max(self._bugs.values()) >= _SAME_BUG_LIMIT
        if folder.pruned() is not None:
            self._display.ended(name, "pruned", "")
        elif folder.fit() is None:
            self._display.ended(name, "taken", "another sweep is at work on it")
        else:
            self._n_done += 1
            self._display.ended(name, "done", dice_note(folder, training))
        return False

    def keep(self, training: Training) -> None:
        """Log a training that has ended to MLflow; trouble there never stops a sweep."""
        folder = self._ledger.folder(training.train_id)
        if folder.fit() is None and folder.failure() is None and folder.pruned() is None:
            return
        self._curves.end(training.train_id)
        overlays = draw_overlays(training, folder) if folder.fit() is not None else {}
        record: TrainingRecord = training_record(training, folder, self._sweep, overlays)
        try:
            self._tracker.log_training(record)
        except TrackingError as err:
            self._display.say(f"MLflow: {err}; the next run logs it from the training's folder")

    def close(self) -> None:
        """The sweep is over: runs of trainings that nobody is at work on are no longer running."""
        folders = {train_id: self._ledger.folder(train_id) for train_id in self._trainings}
        running = {key for key, folder in folders.items() if folder.lease_owner() is not None}
        try:
            self._tracker.close_interrupted(self._sweep, running)
        except TrackingError as err:
            self._display.say(f"MLflow: {err}")

    def _name(self, train_id: str) -> str:
        return self._trainings[train_id].config.name()


def dice_note(folder: Any, training: Training) -> str:
    """Mean Dice over the target cases under the released protocol, for the person who waits."""
    found = folder.evaluation(training.evaluations[0].eval_id) or {"scores": []}
    values = [
        score["dice"]
        for score in found["scores"]
        if score["protocol"] == "desam2024" and score["domain"] != training.config.source
    ]
    if not values:
        return ""
    note = f"target Dice {100 * fmean(values):.1f}"
    n_empty, n_slices = found.get("n_empty_slices", 0), found.get("n_slices", 0)
    # a Dice near zero means two things: masks in the wrong place, or no masks at all
    return f"{note}; no mask in {n_empty} of {n_slices} slices" if 2 * n_empty > n_slices else note
