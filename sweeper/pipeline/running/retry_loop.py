"""The trainings of a run, in rounds: what ran out of memory comes again with more of it.

A full disk pauses the sweep between two rounds. What lost its machine comes again, as does what a
process that ends soon still holds; what another sweep is at work on is left to it.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeper.plan.code_version import scoring_version
from sweeper.plan.job import TrainingJob
from sweeper.store.processes import process_identity
from sweeper.trial.remedy import Remedy, apply, known_remedy, next_remedy, split

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sweeper.engine.ray_tune import Interrupt
    from sweeper.pipeline.display import Display
    from sweeper.pipeline.running.listen import SweepListener
    from sweeper.plan.expand import Training
    from sweeper.records import FailureReason, Placement
    from sweeper.store.ledger import Ledger
    from sweeper.store.workspace import Workspace

    RunJobs = Callable[[Sequence[tuple[str, str]], Placement], Interrupt]

_ROOM_BYTES = 1_000_000_000
_ROOM_SHARE = 0.05  # of a small disk
_POLL_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """Runs trainings until each has ended for good, a person stops it, or it makes no sense.

    Attributes:
        workspace: Where everything lies.
        ledger: Of the workspace.
        listener: Told by the engine; knows how each training ended.
        display: Told of pauses and remedies.
        placement: What a training gets that never failed.
        run_jobs: The engine: runs jobs at a placement.
    """

    workspace: Workspace
    ledger: Ledger
    listener: SweepListener
    display: Display
    placement: Placement
    run_jobs: RunJobs

    def run(self, trainings: Sequence[Training]) -> int:
        """Run them all; the number of the signal that ended it early, else 0."""
        self.listener.remedy_of = self._next_remedy
        left = {t.train_id: t for t in trainings}
        while left:
            lowest = min(self._remedy(train_id) for train_id in left)
            ids = [i for i in left if self._remedy(i) == lowest]
            jobs = [(i, self._job(left[i], lowest).to_json()) for i in ids]
            interrupt = self.run_jobs(jobs, apply(lowest, self.placement))
            if interrupt.signal or self.listener.is_hopeless:
                return interrupt.signal
            has_moved = bool(self.listener.ended)
            self._settle(left)
            if self.listener.disk_is_full:
                self.listener.disk_is_full = False
                self._wait_for_room()
            elif not has_moved:  # the engine gave up: the same command goes on
                break
        return 0

    def _settle(self, left: dict[str, Training]) -> None:
        """Take out what has ended for good."""
        for train_id in self.listener.ended:
            if train_id in self.listener.again:
                self.ledger.folder(train_id).remove_records("failure")
            elif train_id not in self.listener.held:
                left.pop(train_id, None)
        if self.listener.held:  # who holds it ends soon, but a worker elsewhere cannot know that
            time.sleep(_POLL_S)
        self.listener.ended.clear()
        self.listener.again.clear()
        self.listener.held.clear()

    def _remedy(self, train_id: str) -> Remedy:
        return Remedy.of(self.ledger.folder(train_id).remedy())

    def _next_remedy(self, training: Training, reason: FailureReason) -> str | None:
        """Choose and keep what to try after a failure; its text, or None if it is final."""
        folder = self.ledger.folder(training.train_id)
        batch = training.config.training.batch_size
        last = known_remedy(folder, training.config)
        found = next_remedy(reason, last, self.placement, batch)
        if found is None:
            return None
        folder.write("remedy", found.values())
        return found.text(batch)

    def _wait_for_room(self) -> None:
        root = self.workspace.root
        wanted = min(_ROOM_BYTES, int(_ROOM_SHARE * shutil.disk_usage(root).total))
        if self.workspace.free_bytes() >= wanted:
            return
        self.display.say(
            f"disk full: the sweep is paused; it goes on by itself when {wanted / 1e6:.0f} MB are"
            f" free in {root} (now {self.workspace.free_bytes() / 1e6:.0f} MB). Nothing is lost"
            " if you end it; 'sweeper clean' removes what no result needs"
        )
        while self.workspace.free_bytes() < wanted:
            time.sleep(_POLL_S)
        self.display.say("there is room again: the sweep goes on")

    def _job(self, training: Training, remedy: Remedy) -> TrainingJob:
        config = split(remedy, training.config)
        placement = apply(remedy, self.placement)
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
            scoring_code=scoring_version(),
            background=training.data.background,
        )
