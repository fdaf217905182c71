"""`sweeper plan`: what a search space needs, how much is done, and what the rest costs."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.config.sweep import load_sweep
from sweeper.errors import CellError, ConfigError
from sweeper.pipeline.costs.estimate import Pace, estimate, kind, measured_paces, probed_paces
from sweeper.pipeline.costs.forecast import Devices, Prediction, devices, predict
from sweeper.pipeline.data.sources import DataSource
from sweeper.pipeline.searching.studies import OpenStudy, first_trial, open_studies
from sweeper.plan.expand import Plan, axis_words, make_plan
from sweeper.plan.extending import find_extensions
from sweeper.plan.states import Cell, State, cells_of
from sweeper.report.words import counted
from sweeper.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sweeper.config.sweep import Sweep
    from sweeper.pipeline.data.store_needs import StoreNeed
    from sweeper.pipeline.display import Display
    from sweeper.plan.expand import Training
    from sweeper.plan.extending import Extension
    from sweeper.store.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """A plan with its states and predicted costs.

    Attributes:
        sweep: The validated search space.
        plan: The known trainings and evaluations; unfinished searches will add their winners.
        cells: State of each training.
        studies: Searches that run before the table.
        unsearched: The searches that are not finished.
        devices: Devices on which trainings will run.
        paces: Measured speed of each kind of training on this machine.
        prediction: Predicted cost of the missing trainings, including searches and their winners.
        stores: The embedding stores that it reads, and what is missing in each.
        checkpoint_bytes: Size of the checkpoints of the missing trainings; 0 if unknown.
        free_bytes: Free space on the disk of the workspace.
        extensions: Train id of a missing training -> the finished one of fewer epochs.
        is_probed: True if this machine's speed was measured for the plan where it was not known.
        axes: Which sources an axis over the dataset's domains means; empty without an axis.
    """

    sweep: Sweep
    plan: Plan
    cells: tuple[Cell, ...]
    studies: tuple[OpenStudy, ...]
    unsearched: tuple[OpenStudy, ...]
    devices: Devices
    paces: Mapping[str, Pace]
    prediction: Prediction
    stores: tuple[StoreNeed, ...]
    checkpoint_bytes: int
    free_bytes: int
    extensions: Mapping[str, Extension]
    is_probed: bool
    axes: str = ""

    @property
    def table_cells(self) -> list[Cell]:
        """The cells of the table: those of the plan, then examples of winners to be found."""
        return [*self.cells, *winner_cells(self.unsearched)]

    @property
    def is_done(self) -> bool:
        """True if nothing is left to run."""
        return not self.unsearched and all(cell.state is State.DONE for cell in self.cells)

    @property
    def continued(self) -> dict[str, Extension]:
        """The extensions that continue."""
        return {train_id: e for train_id, e in self.extensions.items() if not e.obstacle}

    @property
    def continued_epochs(self) -> dict[str, int]:
        """Train id -> epochs that are done already."""
        return {train_id: extension.epochs for train_id, extension in self.continued.items()}

    def extension_lines(self) -> Iterator[str]:
        """How many continue a finished training of how many epochs, and why others cannot."""
        continued = Counter(self.continued_epochs.values())
        for epochs, count in sorted(continued.items()):
            yield f"  {count} of them continue a finished training of {counted(epochs, 'epoch')}"
        obstacles = Counter(e.obstacle for e in self.extensions.values() if e.obstacle)
        for obstacle, count in obstacles.items():
            yield f"  {count} of them cannot continue one of fewer epochs: {obstacle}"

    @property
    def anew_seconds(self) -> float:
        """Training time of those that cannot continue a finished training, by measured paces."""
        anew = self.extensions.keys() - self.continued.keys()
        cells = [cell for cell in self.cells if cell.training.train_id in anew]
        return estimate(cells, self.paces).training_seconds


def plan_space(
    workspace: Workspace,
    space: Path,
    settings: Sequence[str],
    display: Display,
    *,
    probes: bool,
) -> PlanReport:
    """The plan of a space; no training is run, and no embeddings are computed.

    Args:
        workspace: The workspace.
        space: The YAML file.
        settings: `key=value` overrides.
        display: Shows the progress of probes.
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
    """The plan of a validated space, with states and costs; see `plan_space`.

    Args:
        workspace: The workspace.
        sweep: The space.
        source: Data that the trials read.
        display: Shows the progress of probes.
        probes: True to measure kinds of training that have not been measured here.
        probes_from: Minimum number of missing trainings for which probes are run.
    """
    # the plan, with the winners of finished searches
    with placed_errors(sweep):
        studies = open_studies(workspace, sweep, source.facts)
        winners = [trial for study in studies for trial in study.winning_trials()]
        plan = make_plan(sweep.spec.name, (*sweep.trials, *winners), source.facts)
    # what is missing
    ledger = Ledger(workspace.trainings)
    cells = tuple(cells_of(plan, ledger))
    unsearched = tuple(study for study in studies if not study.is_searched(ledger))
    todo = [c for c in cells if c.state is not State.DONE] + expected_cells(unsearched, ledger)
    # what it costs, from measured paces or probes
    available = devices(sweep.spec.resources)
    tried = [training for study in studies for training in study.tried()]
    extensions = find_extensions(cells, ledger)
    shorter = [  # of the same kind, and finished
        replace(cell.training, train_id=extensions[cell.training.train_id].train_id)
        for cell in cells
        if cell.training.train_id in extensions
    ]
    paces = measured_paces([*plan.trainings, *tried, *shorter], ledger)
    is_probed = probes and len(todo) >= probes_from
    if is_probed:
        paces |= probed_paces(_unmeasured(todo, paces), display, available.threads)
    done = {train_id: e.epochs for train_id, e in extensions.items() if not e.obstacle}
    cost = estimate(todo, paces, done)
    return PlanReport(
        sweep=sweep,
        plan=plan,
        cells=cells,
        studies=tuple(studies),
        unsearched=unsearched,
        devices=available,
        paces=paces,
        prediction=predict(workspace, cost, len(todo), available),
        stores=tuple(source.needs),
        checkpoint_bytes=cost.checkpoint_bytes,
        free_bytes=workspace.free_bytes(),
        extensions=extensions,
        axes=axis_words(
            (*sweep.trials, *(first_trial(sweep, study) for study in sweep.studies)), source.facts
        ),
        is_probed=is_probed,
    )


@contextmanager
def placed_errors(sweep: Sweep) -> Iterator[None]:
    """Adds file and line to errors that only the dataset reveals, such as an unknown site."""
    try:
        yield
    except CellError as err:
        document = sweep.document
        parents: list[tuple[str | int, ...]] = [
            *(("blocks", i, "trial") for i in range(len(sweep.spec.blocks))),
            ("trial",),
        ]
        paths = [(*parent, err.key) for parent in parents]
        matches = [path for path in paths if document.holds(path, err.value)]
        path = matches[0] if matches else ("trial", err.key)
        raise ConfigError(f"{document.line_of(path, err.value)}: {err}") from err


def _unmeasured(todo: Sequence[Cell], paces: dict[str, Pace]) -> list[Training]:
    """Trainings of unmeasured kinds that can be probed, because their embeddings exist."""
    return [
        cell.training
        for cell in todo
        if kind(cell.training) not in paces
        and (cell.training.data.embeddings is None or _exists(cell.training.data.embeddings))
    ]


def expected_cells(unsearched: Sequence[OpenStudy], ledger: Ledger) -> list[Cell]:
    """Example cells for the remaining budget of searches and for the trainings of their winners."""
    cells: list[Cell] = []
    for study in unsearched:
        tried = sum(c.state in (State.DONE, State.PRUNED) for c in study.cells(ledger))
        cells += [_missing(study.example)] * max(0, study.budget - tried)
    return cells + winner_cells(unsearched)


def winner_cells(unsearched: Sequence[OpenStudy]) -> list[Cell]:
    """Example cells for the trainings of winners that are not known yet."""
    return [
        _missing(training)
        for study in unsearched
        if not study.winning_trials()
        for training in study.expected()
    ]


def _missing(training: Training) -> Cell:
    return Cell(
        training=replace(training, train_id=""),  # the id of the example must not match a training
        state=State.MISSING,
        is_trained=False,
        missing=tuple(e.eval_id for e in training.evaluations),
    )


def _exists(embeddings: str) -> bool:
    return (Path(embeddings) / "zarr.json").is_file()
