"""The driver's listener: tells the display, the ledger, MLflow and the source what Ray reports."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from sweeper.errors import TrackingError
from sweeper.pipeline.display import Ending
from sweeper.pipeline.running.live_curves import LiveCurves
from sweeper.pipeline.running.overlays import draw_overlays
from sweeper.pipeline.running.record import training_record
from sweeper.records import FailureReason, TrialOutcome, TrialStatus
from sweeper.store.processes import process_identity
from sweeper.trial.failures import crash_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from desam_model.types import Decision
    from sweeper.pipeline.display import Display
    from sweeper.pipeline.running.sources import TrainingSource
    from sweeper.plan.expand import Training
    from sweeper.records import Failure
    from sweeper.store.ledger import Ledger, TrainingFolder
    from sweeper.tracking.tracker import Tracker

_SAME_BUG_LIMIT = 3
_LOST = frozenset({FailureReason.LOST_NODE, FailureReason.PREEMPTED})
_SHOWN = {
    TrialStatus.STARTED: Ending.PAUSED,
    TrialStatus.COMPLETED: Ending.DONE,
    TrialStatus.PRUNED: Ending.PRUNED,
    TrialStatus.FAILED: Ending.FAILED,
}


class SweepListener:
    """Receives every event of a sweep or of its searches from the engine; the only MLflow writer.

    Attributes:
        failed: Message and log by train_id of what failed for good in this run.
        ended: What has ended since the round began, whichever way; cleared by the retry loop.
        again: What of it is to be run again: after a remedy, or since its machine was lost.
        held: What of it a process that ends soon has not let go of yet.
        disk_is_full: True if a training found no room on its disk.
        is_hopeless: True if the first trainings all met the same bug, or the code has changed.
        remedy_of: Asked what to try after a failure; its text, or None if the failure is final.
        on_failure: Told the name and the note of each final failure.
    """

    def __init__(
        self,
        sweep: str,
        source: TrainingSource,
        ledger: Ledger,
        tracker: Tracker,
        display: Display,
    ) -> None:
        self._sweep, self._source, self._ledger = sweep, source, ledger
        self._trainings: dict[str, Training] = {}
        self._tracker, self._display = tracker, display
        self._curves = LiveCurves(sweep, tracker, display)
        self._bugs: Counter[str] = Counter()
        self._n_done = 0
        self._furthest: dict[str, int] = {}  # epoch that a training has reached in this run
        self._lost_at: dict[str, int] = {}  # the same when its machine was last lost
        self.failed: dict[str, str] = {}
        self.ended: set[str] = set()
        self.again: set[str] = set()
        self.held: set[str] = set()
        self.disk_is_full = False
        self.is_hopeless = False
        self.remedy_of: Callable[[Training, FailureReason], str | None] = lambda _, __: None
        self.on_failure: Callable[[str, str], None] = lambda _, __: None

    def expect(self, training: Training) -> None:
        """The training is handed to the engine."""
        self._trainings[training.train_id] = training

    def on_start(self, train_id: str) -> None:
        """A training has started."""
        training = self._trainings[train_id]
        self._display.started(self._source.name(training))
        self._curves.begin(training, self._source.tags(training))

    def on_epoch(self, train_id: str, epoch: dict[str, Any]) -> Decision:
        """An epoch has ended; the source decides whether to continue."""
        training, number = self._trainings[train_id], int(epoch["epoch"])
        self._furthest[train_id] = max(number, self._furthest.get(train_id, -1))
        self._display.epoch(self._source.name(training), number, training.config.training.epochs)
        self._curves.add(train_id, epoch)
        return self._source.on_epoch(training, epoch)

    def on_end(
        self, train_id: str, outcome: TrialOutcome | None, loss: tuple[FailureReason, str] | None
    ) -> bool:
        """A training has ended; True stops the sweep: no room, other code, one bug three times."""
        training, folder = self._trainings[train_id], self._ledger.folder(train_id)
        name = self._source.name(training)
        try:
            if loss is not None and _is_finished(folder, training):
                outcome = TrialOutcome.COMPLETED
            elif loss is not None and folder.failure() is None:
                folder.fail(*(crash_of(folder.log) or loss))
        except OSError:  # no room even for that
            outcome = TrialOutcome.DISK_FULL
        if outcome is TrialOutcome.DISK_FULL:
            self.disk_is_full = True
            self._display.ended(name, Ending.PAUSED, "no room on the disk")
            return True
        self.ended.add(train_id)
        if outcome is TrialOutcome.TAKEN:
            self._on_taken(name, folder)
            return False
        failure = folder.failure()
        if failure is not None:
            return self._on_failure(training, failure)
        if outcome is None:
            self._display.ended(name, Ending.PAUSED, "")
            return False
        status = TrialStatus.STARTED.after(outcome)
        note = self._source.on_end(training, status)
        self._n_done += status is TrialStatus.COMPLETED
        self.keep(training)
        self._display.ended(name, _SHOWN[status], note)
        return False

    def _on_taken(self, name: str, folder: TrainingFolder) -> None:
        if folder.is_lease_ending(process_identity()):
            self.held.add(folder.train_id)
            self._display.ended(name, Ending.AGAIN, "an earlier process has not let go of it yet")
        else:
            self._display.ended(name, Ending.TAKEN, "another sweep is at work on it")

    def _on_failure(self, training: Training, failure: Failure) -> bool:
        reason, name = failure.reason, self._source.name(training)
        remedy = self.remedy_of(training, reason) or self._resumes(training.train_id, reason)
        if remedy is not None:
            self.again.add(training.train_id)
            self._display.ended(name, Ending.AGAIN, f"{remedy} ({failure.message})")
            return False
        self._source.on_end(training, TrialStatus.FAILED)
        self.keep(training)
        self.failed[training.train_id] = failure.note
        self._display.ended(name, Ending.FAILED, failure.note)
        self.on_failure(name, failure.note)
        if reason is FailureReason.CODE_CHANGED:
            self.is_hopeless = True
            self._display.say(f"the sweep is stopped: {failure.message}")
            return True
        self._bugs[failure.traceback_hash] += reason is FailureReason.BUG
        self.is_hopeless = self._n_done == 0 and max(self._bugs.values()) >= _SAME_BUG_LIMIT
        if self.is_hopeless:
            self._display.say(
                f"the first {_SAME_BUG_LIMIT} trainings met the same error: the sweep is stopped;"
                f" it is {failure.message}"
            )
        return self.is_hopeless

    def _resumes(self, train_id: str, reason: FailureReason) -> str | None:
        """Machines may be lost any number of times, as long as a training progresses in between."""
        furthest = self._furthest.get(train_id, -1)
        if reason not in _LOST or furthest <= self._lost_at.get(train_id, -1):
            return None
        self._lost_at[train_id] = furthest
        return "it resumes from its checkpoint"

    def keep(self, training: Training) -> None:
        """Log a training that has ended to MLflow; trouble there never stops a sweep."""
        folder = self._ledger.folder(training.train_id)
        if folder.fit() is None and folder.failure() is None and folder.pruned() is None:
            return
        self._curves.end(training.train_id)
        has_masks = folder.fit() is not None and bool(training.evaluations)
        try:
            overlays = draw_overlays(training, folder) if has_masks else {}
        except Exception as err:  # a picture less; raised here, it would end Tune's loop
            self._display.say(f"no overlays of {training.config.name()}: {err}")
            overlays = {}
        tags = self._source.tags(training)
        try:
            self._tracker.log_training(
                training_record(training, folder, self._sweep, tags=tags, artifacts=overlays)
            )
        except (TrackingError, OSError) as err:
            self._display.say(f"MLflow: {err}; the next run logs it from the training's folder")

    def close(self) -> None:
        """The sweep is over: runs of trainings that nobody is at work on are no longer running."""
        running = {folder.train_id for folder in self._ledger if folder.lease_owner() is not None}
        try:
            self._tracker.close_interrupted(self._sweep, running)
        except TrackingError as err:
            self._display.say(f"MLflow: {err}")


def _is_finished(folder: TrainingFolder, training: Training) -> bool:
    """True if a process was lost only after all of its work was done."""
    has_scores = all(folder.has_evaluation(e.eval_id) for e in training.evaluations)
    return folder.fit() is not None and has_scores
