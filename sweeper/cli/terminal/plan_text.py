"""Text of a plan and of its costs, as printed on the terminal."""

from __future__ import annotations

import io
from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from sweeper.cli.terminal.progress import clock
from sweeper.pipeline.searching.study_text import budget_lines
from sweeper.plan.states import State
from sweeper.report.formats.terminal_grid import WIDEST, print_grid
from sweeper.report.plan_matrix import plan_matrix
from sweeper.report.words import DASH, counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sweeper.pipeline.costs.forecast import Actual, Prediction
    from sweeper.pipeline.plan import PlanReport


_MOST_ROWS = 30
"""Rows of a matrix that are printed; the rest is counted."""
_DIRECTIONS = {
    "source": "column = source site (tested on the others)",
    "target": "column = target site (trained on each of the others)",
    "structure": "column = direction and organ",
    "by_structure": "column = organ",
    "encoder": "column = encoder (all sources and their targets)",
}


def plan_lines(report: PlanReport, width: int | None = None) -> Iterator[str]:
    """The lines of `sweeper plan`.

    Args:
        report: The plan.
        width: Columns of the terminal; None for a pipe.
    """
    plan = report.plan
    if report.studies:
        yield from budget_lines(report.sweep, report.studies)
        yield from _searches(report)
    cells, scorings = (counted(plan.n_evaluations, noun) for noun in ("cell", "evaluation"))
    yield f"sweep {plan.sweep}: {cells} = {counted(len(plan.trainings), 'training')} + {scorings}"
    if report.axes:
        yield f"  trained on {report.axes}"
    yield from matrix_lines(report, width)
    counts = Counter(cell.state for cell in report.cells)
    if counts:
        yield "  " + ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    rescored = sum(bool(c.missing) and c.is_trained for c in report.cells)
    if rescored:
        yield f"  {rescored} of them are trained and need only scoring"
    reasons = Counter(cell.note for cell in report.cells if cell.state is State.STALE)
    for reason, count in reasons.items():
        yield f"  {count} stale: {reason}"
    yield from extension_lines(report)
    yield from store_lines(report)
    yield from cost_lines(report)


def matrix_lines(report: PlanReport, width: int | None) -> Iterator[str]:
    """What will run, as the rows and columns of the table; finished and planned per cell."""
    cells = report.table_cells
    if not cells:
        return
    # the settings that are the same for all rows, or differ on purpose
    trials = [cell.training.config for cell in cells]
    data = cells[0].training.data
    seeds = sorted({trial.seed for trial in trials})
    epochs = sorted({trial.training.epochs for trial in trials})
    yield (
        f"  dataset {data.name}{' (SYNTHETIC)' if data.is_synthetic else ''},"
        f" seed{'s' * (len(seeds) > 1)} {_listed(seeds)}, {_listed(epochs)} epochs"
    )
    # the matrix
    matrix = plan_matrix(cells, report.sweep.spec.report, data.domains)
    grid = Table(matrix.row_header, show_header=True)
    for column in matrix.columns:
        grid.add_column(column, justify="right")
    shown = list(matrix.counts)[:_MOST_ROWS]
    for row in shown:
        grid.add_row(row, *(matrix.text(row, column) for column in matrix.columns))
    stream = io.StringIO()
    print_grid(Console(file=stream, width=WIDEST, highlight=False), grid, width)
    yield from stream.getvalue().splitlines()
    hidden = list(matrix.counts)[_MOST_ROWS:]
    if hidden:
        yield f"and {counted(len(hidden), 'row')} more, up to {hidden[-1]}; all: sweeper status"
    yield f"  {_DIRECTIONS[matrix.direction]}; cell = evaluations done/planned"


def _listed(values: Sequence[int]) -> str:
    """Such as `0, 1, 2` and `50`; a long list is shortened to its ends."""
    if len(values) > 6:
        return f"{values[0]}, {values[1]} ... {values[-1]}"
    return ", ".join(map(str, values))


def extension_lines(report: PlanReport) -> Iterator[str]:
    """Missing trainings of which a finished run of fewer epochs exists: what becomes of it."""
    yield from report.extension_lines()
    if report.anew_seconds:
        seconds = clock(report.anew_seconds)
        yield f"  training these anew takes {seconds}, one after the other; included below"


def _searches(report: PlanReport) -> Iterator[str]:
    """The number of finished searches, and the work that their winners will add."""
    searched = len(report.studies) - len(report.unsearched)
    yield f"  {searched} of {len(report.studies)} searches finished"
    waiting = [study for study in report.unsearched if not study.winning_trials()]
    if waiting:
        trainings = [training for study in waiting for training in study.expected()]
        scorings = sum(len(training.evaluations) for training in trainings)
        yield (
            f"  their winners will add {counted(len(trainings), 'training')}"
            f" + {counted(scorings, 'evaluation')} to the sweep"
        )


def store_lines(report: PlanReport) -> Iterator[str]:
    """A line per embedding store, and the disk space that they and the checkpoints need."""
    embedding_bytes = sum(store.missing_bytes for store in report.stores)
    for store in report.stores:
        missing = f"complete, {counted(store.n_slices, 'slice')}"
        if store.n_missing:
            missing = f"{store.n_missing} of {store.n_slices} slices missing"
        if store.n_missing and report.is_probed:
            missing += f", about {clock(store.seconds())} to encode in one process"
        yield f"embeddings {store.name}, {size(store.total_bytes)}: {missing}"
    disk = embedding_bytes + report.checkpoint_bytes
    checkpoints = f" and {size(report.checkpoint_bytes)} for checkpoints"
    yield (
        f"disk: needs {size(embedding_bytes)} for embeddings"
        f"{checkpoints if report.checkpoint_bytes else ''}, {size(report.free_bytes)} free"
    )
    if disk > report.free_bytes:
        yield "  not enough space: free some, or choose another folder with --workspace"


def cost_lines(report: PlanReport) -> Iterator[str]:
    """The predicted cost of the missing trainings on this machine."""
    prediction = report.prediction
    if report.is_done:
        yield "time: nothing to do"
        return
    if prediction.origins:
        at_once = f"{report.devices.workers} at a time"
        yield (
            f"time: about {clock(prediction.wall_seconds)} ({clock(prediction.low_seconds)} to"
            f" {clock(prediction.high_seconds)}) with {at_once}, from"
            f" {' and '.join(prediction.origins)} paces"
        )
        gpu = f", {prediction.gpu_hours:.2f} GPU-hours" if report.devices.gpu else ", no GPU"
        yield (
            f"cost: {prediction.training_seconds / 3600:.2f} training hours{gpu}, peak memory"
            f" {size(prediction.peak_bytes)} per training"
        )
    if prediction.unknown:
        remedy = (
            "the probe needs their embeddings (sweeper embed) and stops after a minute"
            if report.is_probed
            else "measure it: sweeper plan SPACE --probe"
        )
        yield (
            f"time: unknown for {counted(prediction.unknown, 'training')} of a kind that was never"
            f" measured here; {remedy}"
        )


def comparison_lines(predicted: Prediction, actual: Actual) -> Iterator[str]:
    """Predicted and actual costs, side by side."""
    rows = (
        ("time", clock(predicted.wall_seconds), clock(actual.wall_seconds)),
        (
            "training hours",
            f"{predicted.training_seconds / 3600:.3f}",
            f"{actual.training_seconds / 3600:.3f}",
        ),
        ("peak memory", size(predicted.peak_bytes), size(actual.peak_bytes)),
        ("trainings", str(predicted.trainings), str(actual.trainings)),
    )
    yield f"{'cost of this run':17} {'predicted':>11} {'actual':>11}"
    is_predicted = bool(predicted.origins)  # without a pace nothing but the count is known
    for name, expected, measured in rows:
        shown = expected if is_predicted or name == "trainings" else DASH
        yield f"  {name:15} {shown:>11} {measured:>11}"
    if predicted.unknown:
        count = counted(predicted.unknown, "training")
        yield f"  there was no prediction for {count} of a kind that was never measured here"


def size(n_bytes: float) -> str:
    """A number of bytes in a readable unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000 or unit == "GB":
            return f"{n_bytes:.0f} {unit}" if unit in ("B", "kB") else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    raise AssertionError
