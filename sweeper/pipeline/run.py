"""`sweeper run`: runs all missing cells of a search space."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from sweeper.config.sweep import Sweep, load_sweep
from sweeper.errors import DeclinedError
from sweeper.pipeline.costs.accounting import Costs
from sweeper.pipeline.data.sources import DataSource
from sweeper.pipeline.running.listen import SweepListener
from sweeper.pipeline.running.notify import Notifier
from sweeper.pipeline.running.sources import PlannedTrainings
from sweeper.pipeline.running.train import train
from sweeper.pipeline.searching.search import search
from sweeper.pipeline.searching.studies import searched_cells, selection_tags, summaries
from sweeper.plan.expand import Plan, make_plan
from sweeper.plan.states import Cell, State, cells_of
from sweeper.report.words import counted
from sweeper.store.ledger import Ledger
from sweeper.tracking.mlflow_tracker import MlflowTracker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sweeper.pipeline.costs.forecast import Actual, Prediction
    from sweeper.pipeline.display import Display
    from sweeper.pipeline.plan import PlanReport
    from sweeper.pipeline.searching.search import Searched
    from sweeper.pipeline.searching.studies import OpenStudy
    from sweeper.store.workspace import Workspace
    from sweeper.tracking.tracker import Tracker

EXIT_RAY_LOST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """The arguments of a run.

    Attributes:
        space: The YAML file.
        settings: `key=value` overrides.
        address: Ray cluster to use, or None for this machine.
        retries_failed: True to run trainings again that failed for a permanent reason.
        notify: Webhook that is notified of the first failure and of the end, or None.
        probes: True to measure kinds of training that have not been measured on this machine.
        approves: Called with the predicted cost before the run starts; if it returns False, the run
            does not start.
        restarts: Called when a process of the local Ray has died; replaces this process by one that
            runs the same request. None ends the process instead.
    """

    space: Path
    settings: tuple[str, ...] = ()
    address: str | None = None
    retries_failed: bool = False
    notify: str | None = None
    probes: bool = True
    approves: Callable[[PlanReport], bool] = lambda _: True
    restarts: Callable[[], NoReturn] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """The outcome of a run.

    Attributes:
        sweep: The validated search space.
        name: Name of the sweep in MLflow.
        plan: All planned trainings.
        cells: Final state of each training of the table.
        searched: Final state of each training of a search; these are not in the table.
        signal: Number of the signal that stopped the run, or 0.
        ran: Number of trainings that this run started.
        seconds: Wall time of the run.
        costs: Predicted and actual costs; None if nothing was run.
    """

    sweep: Sweep
    name: str
    plan: Plan
    cells: tuple[Cell, ...]
    searched: tuple[Cell, ...]
    signal: int
    ran: int
    seconds: float = 0.0
    costs: tuple[Prediction, Actual] | None = None

    def count(self, state: State) -> int:
        """Number of trainings in a state."""
        return sum(cell.state is state for cell in self.cells)


def run(workspace: Workspace, request: RunRequest, display: Display) -> RunOutcome:
    """Run the missing trainings, log them in MLflow, and return the outcome."""
    sweep = load_sweep(request.space, request.settings)
    notifier = Notifier(request.notify, sweep.spec.name, display)
    try:
        return _run(workspace, request, sweep, notifier, display)
    except DeclinedError:
        raise
    except Exception as err:
        notifier.error(str(err) or type(err).__name__)
        notifier.wait()
        raise


def _run(
    workspace: Workspace,
    request: RunRequest,
    sweep: Sweep,
    notifier: Notifier,
    display: Display,
) -> RunOutcome:
    # open the data and predict the costs
    began = time.monotonic()
    on_lost = partial(_on_ray_lost, request, notifier, display)
    data = DataSource(workspace, display)
    facts, ledger = data.facts, Ledger(workspace.trainings)
    costs = Costs.begin(workspace, sweep, data, display, probes=request.probes)
    if not costs.report.is_done and not request.approves(costs.report):
        raise DeclinedError(f"sweep {sweep.spec.name} was not run; nothing was changed")
    # run the searches, whose winners are then trainings of the table
    tracker: Tracker = MlflowTracker(workspace)
    searched = search(
        workspace,
        sweep,
        facts,
        tracker,
        display,
        request.address,
        on_failure=notifier.failure,
        on_lost=on_lost,
    )
    plan = make_plan(sweep.spec.name, (*sweep.trials, *searched.trials), facts)
    name = searched.name
    if searched.signal or not plan.trainings:
        seconds = time.monotonic() - began
        return _notified(notifier, _outcome_of_search(sweep, plan, searched, ledger, seconds))
    # find the missing cells
    tracker.prepare(name, tracked_plan(sweep, plan, searched.studies))
    cells = cells_of(plan, ledger)
    todo = [c for c in cells if _is_to_run(c, ledger, request.retries_failed)]
    _show_counts(display, plan, cells, todo, costs.report.axes)
    for line in costs.report.extension_lines():
        display.say(line)
    # log what a killed driver left, then train
    trainings = [cell.training for cell in todo]
    source = PlannedTrainings(trainings, ledger, selection_tags(searched.studies, plan))
    listener = SweepListener(name, source, ledger, tracker, display)
    listener.on_failure = notifier.failure
    listener.close()  # runs that a killed driver left open
    _log_missing_results(name, cells, tracker, listener)
    signal = 0
    if todo:
        signal = train(
            workspace,
            source,
            trainings,
            listener,
            display,
            resources=sweep.spec.resources,
            address=request.address,
            on_lost=on_lost,
            continues={i: shorter.train_id for i, shorter in costs.report.continued.items()},
        )
    outcome = RunOutcome(
        sweep=sweep,
        name=name,
        plan=plan,
        cells=tuple(cells_of(plan, ledger)),
        searched=tuple(searched_cells(searched.studies, ledger)),
        signal=signal,
        ran=len(todo),
        seconds=time.monotonic() - began,
        costs=costs.end(todo, searched.studies) if todo or searched.ran else None,
    )
    return _notified(notifier, outcome)


def _on_ray_lost(request: RunRequest, notifier: Notifier, display: Display, what: str) -> NoReturn:
    """A process of the local Ray has died: restart this command, or end with a message."""
    if request.restarts is not None:
        display.say(f"Ray's {what} has died; restarting Ray, no results are lost")
        request.restarts()
    text = f"Ray's {what} has died, and no restart is left; run the same command to resume"
    display.say(f"error: {text}")
    notifier.error(text)
    notifier.wait()
    os._exit(EXIT_RAY_LOST)


def _notified(notifier: Notifier, outcome: RunOutcome) -> RunOutcome:
    """The outcome, after the webhook has been notified of it."""
    counts = {str(s): outcome.count(s) for s in State}
    notifier.end(counts, outcome.seconds, outcome.signal)
    notifier.wait()
    return outcome


def _outcome_of_search(
    sweep: Sweep, plan: Plan, searched: Searched, ledger: Ledger, seconds: float
) -> RunOutcome:
    """The outcome of a run whose search was interrupted or found no winner."""
    return RunOutcome(
        sweep=sweep,
        name=searched.name,
        plan=plan,
        cells=tuple(cells_of(plan, ledger)),
        searched=tuple(searched_cells(searched.studies, ledger)),
        signal=searched.signal,
        ran=0,
        seconds=seconds,
    )


def tracked_plan(sweep: Sweep, plan: Plan, studies: Sequence[OpenStudy] = ()) -> dict[str, object]:
    """The plan in the tracker's format, from which a report knows the missing cells."""
    data, spec = plan.trainings[0].data, sweep.spec
    return {
        "cells": plan.cells(),
        "searches": summaries(studies),
        "report": {} if spec.report is None else spec.report.model_dump(mode="json"),
        "description": spec.description,
        "space": sweep.document.value,
        "dataset": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            "synthetic": data.is_synthetic,
            "domains": list(data.domains),
            "n_cases": sum(len(cases) for cases in data.cases.values()),
        },
        "encoder": {
            "name": ", ".join(sorted({t.config.encoder.name for t in plan.trainings})),
            "fingerprint": ", ".join(
                sorted({t.data.embedding_fingerprint or "" for t in plan.trainings} - {""})
            ),
        },
    }


def _is_to_run(cell: Cell, ledger: Ledger, retries_failed: bool) -> bool:
    if cell.state is not State.FAILED:
        return cell.state is not State.DONE
    failure = ledger.folder(cell.training.train_id).failure()
    is_final = failure is not None and failure.reason.is_final
    return retries_failed or not is_final


def _show_counts(
    display: Display, plan: Plan, cells: list[Cell], todo: list[Cell], axes: str
) -> None:
    done = sum(c.state is State.DONE for c in cells)
    data = plan.trainings[0].data
    if data.is_synthetic:
        display.say(
            "data: SYNTHETIC phantom, only for trying out; use real data with"
            " --dataset NAME_OR_PATH --encoder lite_medsam (see: sweeper data import --help)"
        )
    display.say(
        f"sweep {plan.sweep}: {counted(len(plan.trainings), 'training')},"
        f" {counted(plan.n_evaluations, 'evaluation')};"
        f" {done} done, {len(todo)} to run"
    )
    if axes:
        display.say(f"  trained on {axes}")
    stale = [c for c in cells if c.state is State.STALE]
    if stale:
        display.say(f"  {len(stale)} of them stale: {stale[0].note}")


def _log_missing_results(
    sweep: str, cells: list[Cell], tracker: Tracker, listener: SweepListener
) -> None:
    """Log results that a killed driver did not log in MLflow."""
    logged = tracker.logged(sweep)
    for cell in cells:
        scored = {e.eval_id for e in cell.training.evaluations} - set(cell.missing)
        if cell.is_trained and not scored <= logged.get(cell.training.train_id, set()):
            listener.keep(cell.training)
