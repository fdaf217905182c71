"""`sweeper plan`: what a search space needs, what of it is there, and what the rest costs."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.config.sweep import load_sweep
from sweeper.errors import CellError, ConfigError
from sweeper.pipeline.costs.estimate import Pace, estimate, kind, measured_paces, probed_paces
from sweeper.pipeline.costs.forecast import Devices, Prediction, devices, predict
from sweeper.pipeline.data.sources import DataSource
from sweeper.pipeline.searching.studies import OpenStudy, open_studies
from sweeper.plan.expand import Plan, make_plan
from sweeper.plan.states import Cell, State, cells_of
from sweeper.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sweeper.config.sweep import Sweep
    from sweeper.pipeline.display import Display
    from sweeper.plan.expand import Training
    from sweeper.store.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """What a plan says.

    Attributes:
        sweep: The checked space.
        plan: Trainings and evaluations that are known; a search still to run adds its winners.
        cells: Where each stands.
        studies: Searches that come before the table.
        unsearched: Of these, those that are not finished.
        devices: What trainings will run on.
        paces: How fast each kind of training goes here, as far as it is known.
        prediction: Cost of what is missing, searches and their winners included.
        embedding_bytes: Embeddings still to be computed.
        checkpoint_bytes: Weights that the missing trainings will keep; 0 where not known.
        free_bytes: Free on the workspace's disk.
    """

    sweep: Sweep
    plan: Plan
    cells: tuple[Cell, ...]
    studies: tuple[OpenStudy, ...]
    unsearched: tuple[OpenStudy, ...]
    devices: Devices
    paces: Mapping[str, Pace]
    prediction: Prediction
    embedding_bytes: int
    checkpoint_bytes: int
    free_bytes: int

    @property
    def is_done(self) -> bool:
        """True if nothing is left to run."""
        return not self.unsearched and all(cell.state is State.DONE for cell in self.cells)


def plan_space(
    workspace: Workspace,
    space: Path,
    settings: Sequence[str],
    display: Display,
    *,
    probes: bool,
) -> PlanReport:
    """The plan of a space; nothing is trained, and embeddings are not computed.

    Args:
        workspace: Where things lie.
        space: The YAML file.
        settings: `key=value` overrides.
        display: Told what is probed.
        probes: True to train a few batches of each kind that has not been measured here.
    """
    sweep = load_sweep(space, settings)
    source = DataSource(workspace, display, makes_embeddings=False)
    return assess(workspace, sweep, source, display, probes=probes)


def assess(
    workspace: Workspace,
    sweep: Sweep,
    source: DataSource,
    display: Display,
    *,
    probes: bool,
    probes_from: int = 1,
) -> PlanReport:
    """What a space needs, has and costs; see `plan_space`.

    Args:
        workspace: Where things lie.
        sweep: The space.
        source: What trials read.
        display: Told what is probed.
        probes: True to measure kinds that have not been measured here ...
        probes_from: ... if so many trainings are to be run.
    """
    with placed_errors(sweep):
        studies = open_studies(workspace, sweep, source.facts)
        won = [trial for one in studies for trial in one.winning_trials()]
        plan = make_plan(sweep.spec.name, (*sweep.trials, *won), source.facts)
    ledger = Ledger(workspace.trainings)
    cells = tuple(cells_of(plan, ledger))
    unsearched = tuple(one for one in studies if not one.is_searched(ledger))
    todo = [c for c in cells if c.state is not State.DONE] + to_come(unsearched, ledger)
    on = devices(sweep.spec.resources)
    done = [t for one in studies for t in one.tried()]
    paces = measured_paces([*plan.trainings, *done], ledger)
    if probes and len(todo) >= probes_from:
        paces |= probed_paces(_unmeasured(todo, paces), display, on.threads)
    cost = estimate(todo, paces)
    return PlanReport(
        sweep=sweep,
        plan=plan,
        cells=cells,
        studies=tuple(studies),
        unsearched=unsearched,
        devices=on,
        paces=paces,
        prediction=predict(workspace, cost, len(todo), on),
        embedding_bytes=source.missing_bytes,
        checkpoint_bytes=cost.checkpoint_bytes,
        free_bytes=workspace.free_bytes(),
    )


@contextmanager
def placed_errors(sweep: Sweep) -> Iterator[None]:
    """Adds file and line to what only the dataset could tell, such as an unknown site."""
    try:
        yield
    except CellError as err:
        document = sweep.document
        heads: list[tuple[str | int, ...]] = [
            *(("blocks", i, "trial") for i in range(len(sweep.spec.blocks))),
            ("trial",),
        ]
        places = [(*head, err.key) for head in heads]
        own = [place for place in places if document.holds(place, err.value)]
        place = own[0] if own else ("trial", err.key)
        raise ConfigError(f"{document.line_of(place, err.value)}: {err}") from err


def _unmeasured(todo: Sequence[Cell], paces: dict[str, Pace]) -> list[Training]:
    """Trainings of kinds without a pace that can be probed: their embeddings are there."""
    return [
        cell.training
        for cell in todo
        if kind(cell.training) not in paces
        and (cell.training.data.embeddings is None or _is_there(cell.training.data.embeddings))
    ]


def to_come(unsearched: Sequence[OpenStudy], ledger: Ledger) -> list[Cell]:
    """What searches will still run at most, and the trainings of their winners, by an example."""
    found: list[Cell] = []
    for one in unsearched:
        tried = sum(c.state in (State.DONE, State.PRUNED) for c in one.cells(ledger))
        found += [_missing(one.example)] * max(0, one.budget - tried)
        if not one.winning_trials():
            found += [_missing(training) for training in one.expected()]
    return found


def _missing(training: Training) -> Cell:
    return Cell(
        training=replace(training, train_id=""),  # an example's own number is nobody's
        state=State.MISSING,
        is_trained=False,
        missing=tuple(e.eval_id for e in training.evaluations),
    )


def _is_there(embeddings: str) -> bool:
    return (Path(embeddings) / "zarr.json").is_file()
