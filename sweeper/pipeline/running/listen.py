"""The driver's ear: what Ray tells of a sweep goes to the display, the ledger and MLflow."""

from __future__ import annotations

from collections import Counter
from statistics import fmean
from typing import TYPE_CHECKING, Any

from desam_model.scoring.metric_table import MAIN
from desam_model.scoring.protocol_table import RELEASED
from sweeper.errors import TrackingError
from sweeper.pipeline.display import Ending
from sweeper.pipeline.running.live_curves import LiveCurves
from sweeper.pipeline.running.overlays import draw_overlays
from sweeper.pipeline.running.record import training_record
from sweeper.records import FailureReason, TrainingRecord, TrialOutcome
from sweeper.store.processes import process_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sweeper.pipeline.display import Display
    from sweeper.plan.expand import Training
    from sweeper.records import Failure
    from sweeper.store.ledger import Ledger, TrainingFolder
    from sweeper.tracking.tracker import Tracker

_SAME_BUG_LIMIT = 3
_LOST = frozenset({FailureReason.LOST_NODE, FailureReason.PREEMPTED})


class SweepListener:
    """Told of every event of a sweep by the engine; the only writer of MLflow.

    Attributes:
        failed: Message and log by train_id of what failed for good in this run.
        ended: What has ended since the round began, whichever way; cleared by who starts rounds.
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

    def on_start(self, train_id: str) -> None:
        """A training has begun."""
        self._display.started(self._name(train_id))
        self._curves.begin(self._trainings[train_id])

    def on_epoch(self, train_id: str, epoch: dict[str, Any]) -> None:
        """An epoch has ended."""
        epochs = self._trainings[train_id].config.training.epochs
        number = int(epoch["epoch"])
        self._furthest[train_id] = max(number, self._furthest.get(train_id, -1))
        self._display.epoch(self._name(train_id), number, epochs)
        self._curves.add(train_id, epoch)

    def on_end(
        self, train_id: str, outcome: TrialOutcome | None, loss: tuple[FailureReason, str] | None
    ) -> bool:
        """A training has ended; True stops the sweep: no room, other code, one bug three times."""
        training, folder = self._trainings[train_id], self._ledger.folder(train_id)
        name = self._name(train_id)
        try:
            if loss is not None and folder.failure() is None and not _is_finished(folder, training):
                folder.fail(*loss)
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
        self.keep(training)
        if folder.pruned() is not None:
            self._display.ended(name, Ending.PRUNED, "")
        elif folder.fit() is None:
            self._display.ended(name, Ending.PAUSED, "")
        else:
            self._n_done += 1
            self._display.ended(name, Ending.DONE, score_note(folder, training))
        return False

    def _on_taken(self, name: str, folder: TrainingFolder) -> None:
        if folder.is_lease_ending(process_identity()):
            self.held.add(folder.train_id)
            self._display.ended(name, Ending.AGAIN, "an earlier process has not let go of it yet")
        else:
            self._display.ended(name, Ending.TAKEN, "another sweep is at work on it")

    def _on_failure(self, training: Training, failure: Failure) -> bool:
        reason, name = failure.reason, training.config.name()
        remedy = self.remedy_of(training, reason) or self._goes_on(training.train_id, reason)
        if remedy is not None:
            self.again.add(training.train_id)
            self._display.ended(name, Ending.AGAIN, f"{remedy} ({failure.message})")
            return False
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

    def _goes_on(self, train_id: str, reason: FailureReason) -> str | None:
        """Machines may be lost any number of times, as long as a training gets on in between."""
        furthest = self._furthest.get(train_id, -1)
        if reason not in _LOST or furthest <= self._lost_at.get(train_id, -1):
            return None
        self._lost_at[train_id] = furthest
        return "it goes on from its checkpoint"

    def keep(self, training: Training) -> None:
        """Log a training that has ended to MLflow; trouble there never stops a sweep."""
        folder = self._ledger.folder(training.train_id)
        if folder.fit() is None and folder.failure() is None and folder.pruned() is None:
            return
        self._curves.end(training.train_id)
        try:
            overlays = draw_overlays(training, folder) if folder.fit() is not None else {}
        except Exception as err:  # a picture less; raised here, it would end Tune's loop
            self._display.say(f"no overlays of {training.config.name()}: {err}")
            overlays = {}
        try:
            record: TrainingRecord = training_record(training, folder, self._sweep, overlays)
            self._tracker.log_training(record)
        except (TrackingError, OSError) as err:
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


def _is_finished(folder: TrainingFolder, training: Training) -> bool:
    """True if a process was lost only after all of its work was done."""
    has_scores = all(folder.has_evaluation(e.eval_id) for e in training.evaluations)
    return folder.fit() is not None and has_scores


def score_note(folder: TrainingFolder, training: Training) -> str:
    """Mean over the target cases under the released protocol, for the person who waits."""
    found = folder.evaluation(training.evaluations[0].eval_id) or {"scores": []}
    values = [
        score["values"][MAIN.name]
        for score in found["scores"]
        if score["protocol"] == RELEASED.name and score["domain"] != training.config.source
    ]
    if not values:
        return ""
    note = f"target {MAIN.symbol} {MAIN.scale * fmean(values):.1f}"
    n_empty, n_slices = found.get("n_empty_slices", 0), found.get("n_slices", 0)
    # a Dice near zero means two things: masks in the wrong place, or no masks at all
    return f"{note}; no mask in {n_empty} of {n_slices} slices" if 2 * n_empty > n_slices else note
