"""Runs the trainings of a sweep or of its searches until each has ended for good.

What ran out of memory is run again with more of it, in a later round. A full disk pauses the run
between two rounds. What lost its machine is run again, as is what a process that ends soon still
holds; what another sweep is at work on is left to it.
"""

from __future__ import annotations

import shutil
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sweeper.plan.code_version import scoring_version
from sweeper.plan.job import TrainingJob
from sweeper.store.processes import process_identity
from sweeper.trial.remedy import Remedy, apply, known_remedy, next_remedy, split

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sweeper.engine.ray_tune import Interrupt, Job, JobSource
    from sweeper.pipeline.display import Display
    from sweeper.pipeline.running.listen import SweepListener
    from sweeper.pipeline.running.sources import TrainingSource
    from sweeper.plan.expand import Training
    from sweeper.records import FailureReason, Placement
    from sweeper.store.ledger import Ledger
    from sweeper.store.workspace import Workspace

    RunJobs = Callable[[JobSource, Placement], Interrupt]

_ROOM_BYTES = 1_000_000_000
_ROOM_SHARE = 0.05  # of a small disk
_POLL_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryLoop:
    """Runs trainings until each has ended for good, a person stops it, or it makes no sense.

    Attributes:
        workspace: Where everything lies.
        ledger: Of the workspace.
        source: Where the trainings come from.
        listener: Told by the engine; knows how each training ended.
        display: Told of pauses and remedies.
        placement: What a training gets that never failed.
        run_jobs: The engine: runs a round's jobs at a placement.
        continues: Train id -> train id of the finished training that it continues.
    """

    workspace: Workspace
    ledger: Ledger
    source: TrainingSource
    listener: SweepListener
    display: Display
    placement: Placement
    run_jobs: RunJobs
    continues: Mapping[str, str] = field(default_factory=dict)
    _open: dict[str, Training] = field(default_factory=dict)
    """Trainings that the source has handed out and that have not ended for good."""

    def run(self) -> int:
        """Run them all; the number of the signal that ended it early, else 0."""
        self.listener.remedy_of = self._next_remedy
        while (round_ := self._next_round()) is not None:
            interrupt = self.run_jobs(round_, apply(round_.remedy, self.placement))
            if interrupt.signal or self.listener.is_hopeless:
                return interrupt.signal
            has_moved = bool(self.listener.ended)
            self._settle()
            if self.listener.disk_is_full:
                self.listener.disk_is_full = False
                self._wait_for_room()
            elif not has_moved:  # the engine gave up: the same command resumes
                break
        return 0

    def _next_round(self) -> _Round | None:
        """The trainings with the least remedy, those that the source still has among them."""
        while (training := self.source.next_training()) is not None:
            self._open[training.train_id] = training
            if not self.remedy(training):
                break
        if not self._open:
            return None
        remedies = {train_id: self.remedy(training) for train_id, training in self._open.items()}
        least = min(remedies.values())
        waiting = [self._open[train_id] for train_id in remedies if remedies[train_id] == least]
        return _Round(self, least, waiting)

    def _settle(self) -> None:
        """Take out what has ended for good."""
        for train_id in self.listener.ended:
            if train_id in self.listener.again:
                self.ledger.folder(train_id).remove_records("failure")
            elif train_id not in self.listener.held:
                self._open.pop(train_id, None)
        if self.listener.held:  # who holds it ends soon, but a worker elsewhere cannot know that
            time.sleep(_POLL_S)
        self.listener.ended.clear()
        self.listener.again.clear()
        self.listener.held.clear()

    def remedy(self, training: Training) -> Remedy:
        """How a training is run since it ran out of memory."""
        return Remedy.of(self.ledger.folder(training.train_id).remedy())

    def take(self, training: Training) -> None:
        """Keep a training until it has ended for good."""
        self._open[training.train_id] = training

    def _next_remedy(self, training: Training, reason: FailureReason) -> str | None:
        """Choose and keep what to try after a failure; its text, or None if it is final."""
        folder = self.ledger.folder(training.train_id)
        batch = training.config.training.batch_size
        last = known_remedy(folder, training.config)
        remedy = next_remedy(reason, last, self.placement, batch)
        if remedy is None:
            return None
        folder.write("remedy", remedy.values())
        return remedy.text(batch)

    def _wait_for_room(self) -> None:
        root = self.workspace.root
        wanted = min(_ROOM_BYTES, int(_ROOM_SHARE * shutil.disk_usage(root).total))
        if self.workspace.free_bytes() >= wanted:
            return
        self.display.say(
            f"disk full: the sweep is paused; it resumes by itself when {wanted / 1e6:.0f} MB are"
            f" free in {root} (now {self.workspace.free_bytes() / 1e6:.0f} MB). Nothing is lost"
            " if you end it; 'sweeper clean' removes what no result needs"
        )
        while self.workspace.free_bytes() < wanted:
            time.sleep(_POLL_S)
        self.display.say("there is room again: the sweep resumes")

    def job(self, training: Training, remedy: Remedy) -> TrainingJob:
        """The training as it crosses to a worker."""
        config = split(remedy, training.config)
        placement = apply(remedy, self.placement)
        shorter = self.continues.get(training.train_id)
        return TrainingJob(
            train_id=training.train_id,
            identity=training.identity,
            config=config,
            evaluations={e.eval_id: e.config for e in training.evaluations},
            dataset=training.data.path,
            embeddings=(training.data.embeddings if config.method.reads_embeddings() else None),
            folder=str(self.workspace.trainings / training.train_id),
            threads=placement.cpu,
            owner=process_identity(),
            checkpoint=training.data.checkpoint,
            gpu=placement.gpu,
            remedy=remedy.text(config.training.batch_size) if remedy else None,
            scoring_code=scoring_version() if training.evaluations else None,
            background=training.data.background,
            # split batches would change the rounding of the epochs that follow
            continues=None if shorter is None or remedy else str(self.ledger.folder(shorter).path),
            hang_s=placement.hang_s,
        )


class _Round:
    """The jobs of trainings that share a remedy: those waiting, then the source's as they come.

    Attributes:
        remedy: How all of them are run.
        is_exhausted: True once the source has none left.
    """

    def __init__(self, loop: RetryLoop, remedy: Remedy, waiting: list[Training]) -> None:
        self.remedy, self.is_exhausted = remedy, False
        self._loop, self._waiting = loop, deque(waiting)

    def next_job(self) -> Job | None:
        """The next job; a training with another remedy is left for a later round."""
        while (training := self._next_training()) is not None:
            if self._loop.remedy(training) == self.remedy:
                self._loop.listener.expect(training)
                return training.train_id, self._loop.job(training, self.remedy).to_json()
        self.is_exhausted = True
        return None

    def _next_training(self) -> Training | None:
        if self._waiting:
            return self._waiting.popleft()
        training = self._loop.source.next_training()
        if training is not None:
            self._loop.take(training)
        return training
