"""Text of a plan and of its costs, as printed on the terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sweeper.cli.terminal.progress import clock
from sweeper.pipeline.searching.study_text import budget_lines
from sweeper.plan.states import State
from sweeper.report.words import DASH, counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sweeper.pipeline.costs.forecast import Actual, Prediction
    from sweeper.pipeline.plan import PlanReport


def plan_lines(report: PlanReport) -> Iterator[str]:
    """The lines of `sweeper plan`."""
    plan = report.plan
    if report.studies:
        yield from budget_lines(report.sweep, report.studies)
        yield from _searches(report)
    cells, scorings = (counted(plan.n_evaluations, noun) for noun in ("cell", "evaluation"))
    yield f"sweep {plan.sweep}: {cells} = {counted(len(plan.trainings), 'training')} + {scorings}"
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
            missing = (
                f"{store.n_missing} of {store.n_slices} slices missing, about"
                f" {clock(store.seconds())} to encode in one process"
            )
        yield f"embeddings {store.name}, {size(store.total_bytes)}: {missing}"
    disk = embedding_bytes + report.checkpoint_bytes
    yield (
        f"disk: needs {size(embedding_bytes)} for embeddings and"
        f" {size(report.checkpoint_bytes)} for checkpoints, {size(report.free_bytes)} free"
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
        yield (
            f"time: unknown for {counted(prediction.unknown, 'training')}, because this kind of"
            " training was never measured here; run 'sweeper embed', then 'sweeper plan'"
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
