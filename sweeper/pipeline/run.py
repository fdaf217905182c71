"""`sweeper run`: fill every missing cell of a search space."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeper.config.sweep import Sweep, load_sweep
from sweeper.pipeline.datasets import DataSource
from sweeper.pipeline.listen import SweepListener
from sweeper.pipeline.search import search
from sweeper.pipeline.studies import searched_cells, selection_tags, summaries
from sweeper.pipeline.tagging import TaggingTracker
from sweeper.plan.expand import Plan, make_plan
from sweeper.plan.job import TrainingJob
from sweeper.plan.states import Cell, State, cells_of
from sweeper.records import FailureReason
from sweeper.store.ledger import Ledger
from sweeper.tracking.mlflow_tracker import MlflowTracker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sweeper.pipeline.display import Display
    from sweeper.pipeline.search import Searched
    from sweeper.pipeline.studies import OpenStudy
    from sweeper.plan.expand import Training
    from sweeper.store.workspace import Workspace
    from sweeper.tracking.tracker import Tracker

_NOT_RETRIED = frozenset(
    {FailureReason.BUG, FailureReason.NON_FINITE, FailureReason.DATA, FailureReason.HUNG}
)
"""A training that failed so fails again: `sweeper retry` runs it when its cause is mended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What a person asked for.

    Attributes:
        space: The YAML file.
        settings: `key=value` overrides.
        address: Ray cluster to join, or None for this machine.
        retries_failed: True to run again what failed for good.
    """

    space: Path
    settings: tuple[str, ...] = ()
    address: str | None = None
    retries_failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """How a run ended.

    Attributes:
        sweep: The checked space.
        name: Name under which it is tracked.
        plan: All it wants.
        cells: Where each training of the table stands now.
        searched: Where each training of a search stands now; none of these is in a table.
        signal: Number of the signal that ended the run early; 0 if none.
        ran: Trainings that this run started.
    """

    sweep: Sweep
    name: str
    plan: Plan
    cells: tuple[Cell, ...]
    searched: tuple[Cell, ...]
    signal: int
    ran: int

    def count(self, state: State) -> int:
        """Trainings in a state."""
        return sum(cell.state is state for cell in self.cells)


def run(workspace: Workspace, request: RunRequest, display: Display) -> RunOutcome:
    """Run what is missing, keep it in MLflow, and say how it ended."""
    sweep = load_sweep(request.space, request.settings)
    facts = DataSource(workspace, display).facts
    ledger = Ledger(workspace.trainings)
    tracker: Tracker = MlflowTracker(workspace)
    searched = search(workspace, sweep, facts, tracker, display, request.address)
    plan = make_plan(sweep.spec.name, (*sweep.trials, *searched.trials), facts)
    name = searched.name
    if searched.signal or not plan.trainings:
        return _after_the_search(sweep, plan, searched, ledger)
    tracker.prepare(name, tracked_plan(sweep, plan, searched.studies))
    tracker = TaggingTracker(tracker, selection_tags(searched.studies, plan))
    cells = cells_of(plan, ledger)
    todo = [c for c in cells if _is_to_run(c, ledger, request.retries_failed)]
    _say_what_is_there(display, plan, cells, todo)
    listener = SweepListener(
        name, {t.train_id: t for t in plan.trainings}, ledger, tracker, display
    )
    listener.close()  # what a killed driver left open
    _keep_what_mlflow_misses(name, cells, tracker, listener)
    number = _train(workspace, sweep, todo, request, listener, display) if todo else 0
    return RunOutcome(
        sweep=sweep,
        name=name,
        plan=plan,
        cells=tuple(cells_of(plan, ledger)),
        searched=tuple(searched_cells(searched.studies, ledger)),
        signal=number,
        ran=len(todo),
    )


def _after_the_search(sweep: Sweep, plan: Plan, searched: Searched, ledger: Ledger) -> RunOutcome:
    """The search was interrupted, or nothing came of it: there is no table to train for."""
    return RunOutcome(
        sweep=sweep,
        name=searched.name,
        plan=plan,
        cells=tuple(cells_of(plan, ledger)),
        searched=tuple(searched_cells(searched.studies, ledger)),
        signal=searched.signal,
        ran=0,
    )


def tracked_plan(sweep: Sweep, plan: Plan, studies: Sequence[OpenStudy] = ()) -> dict[str, object]:
    """The plan as the tracker keeps it, so that a report knows what is missing."""
    data, spec = plan.trainings[0].data, sweep.spec
    return {
        "cells": plan.cells(),
        "searches": summaries(studies),
        "report": {} if spec.report is None else spec.report.model_dump(mode="json"),
        "description": spec.description,
        "dataset": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            "synthetic": data.is_synthetic,
            "domains": list(data.domains),
            "n_cases": sum(len(cases) for cases in data.cases.values()),
        },
        "encoder": {
            "name": plan.trainings[0].config.encoder.name,
            "fingerprint": data.embedding_fingerprint,
        },
    }


def _is_to_run(cell: Cell, ledger: Ledger, retries_failed: bool) -> bool:
    if cell.state is not State.FAILED:
        return cell.state is not State.DONE
    failure = ledger.folder(cell.training.train_id).failure()
    is_final = failure is not None and FailureReason(failure["reason"]) in _NOT_RETRIED
    return retries_failed or not is_final


def _say_what_is_there(display: Display, plan: Plan, cells: list[Cell], todo: list[Cell]) -> None:
    done = sum(c.state is State.DONE for c in cells)
    data = plan.trainings[0].data
    if data.is_synthetic:
        display.say(
            "data: SYNTHETIC phantom, for trying out only; name real data with"
            " --dataset NAME_OR_PATH --encoder vit_h (see: sweeper data import --help)"
        )
    display.say(
        f"sweep {plan.sweep}: {len(plan.trainings)} trainings, {plan.n_evaluations} evaluations;"
        f" {done} done, {len(todo)} to run"
    )
    stale = [c for c in cells if c.state is State.STALE]
    if stale:
        display.say(f"  {len(stale)} of them stale: {stale[0].note}")


def _keep_what_mlflow_misses(
    sweep: str, cells: list[Cell], tracker: Tracker, listener: SweepListener
) -> None:
    """A driver that was killed may have left results that MLflow never saw."""
    logged = tracker.logged(sweep)
    for cell in cells:
        wanted = {e.eval_id for e in cell.training.evaluations} - set(cell.missing)
        if cell.is_trained and not wanted <= logged.get(cell.training.train_id, set()):
            listener.keep(cell.training)


def _train(
    workspace: Workspace,
    sweep: Sweep,
    todo: list[Cell],
    request: RunRequest,
    listener: SweepListener,
    display: Display,
) -> int:
    from sweeper.engine import ray_tune  # costs 4 s, and a finished sweep needs no engine
    from sweeper.engine.placement import place

    display.phase("starting Ray")
    resources = ray_tune.start(request.address)
    try:
        placement = place(sweep.spec.resources, resources, [c.training for c in todo])
        ray_tune.check_fits(placement)
        owner = f"{socket.gethostname()}-{os.getpid()}"
        jobs = [
            (c.training.train_id, _job(c.training, workspace, placement.cpu, owner).to_json())
            for c in todo
        ]
        display.begin(len(jobs), placement.max_concurrent)
        interrupt = ray_tune.run_jobs(jobs, placement, listener, workspace.logs / "ray")
        return interrupt.signal
    finally:
        display.close()
        listener.close()
        ray_tune.stop()


def _job(training: Training, workspace: Workspace, threads: int, owner: str) -> TrainingJob:
    reads = training.config.method.reads_embeddings()
    return TrainingJob(
        train_id=training.train_id,
        identity=training.identity,
        config=training.config,
        evaluations={e.eval_id: e.config for e in training.evaluations},
        dataset=training.data.path,
        embeddings=training.data.embeddings if reads else None,
        folder=str(workspace.trainings / training.train_id),
        threads=threads,
        owner=owner,
        checkpoint=training.data.checkpoint,
    )
