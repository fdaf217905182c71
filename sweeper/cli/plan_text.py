"""How a plan reads on the terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sweeper.cli.progress import clock
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
        yield f"  {rescored} of them are trained and only need scoring"
    reasons = Counter(cell.note for cell in report.cells if cell.state is State.STALE)
    for reason, count in reasons.items():
        yield f"  {count} stale: {reason}"
    yield from _disk(report)
    yield from cost_lines(report)


def _searches(report: PlanReport) -> Iterator[str]:
    """How far the searches are, and what their winners will add."""
    searched = len(report.studies) - len(report.unsearched)
    yield f"  {searched} of {len(report.studies)} searches finished"
    waiting = [one for one in report.unsearched if not one.winning_trials()]
    if waiting:
        trainings = [training for one in waiting for training in one.expected()]
        scorings = sum(len(training.evaluations) for training in trainings)
        yield (
            f"  their winners will add {counted(len(trainings), 'training')}"
            f" + {counted(scorings, 'evaluation')} to the sweep"
        )


def _disk(report: PlanReport) -> Iterator[str]:
    disk = report.embedding_bytes + report.checkpoint_bytes
    yield (
        f"disk: {size(report.embedding_bytes)} of embeddings and {size(report.checkpoint_bytes)}"
        f" of checkpoints to come, {size(report.free_bytes)} free"
    )
    if disk > report.free_bytes:
        yield "  that does not fit: free some, or name another place with --workspace"


def cost_lines(report: PlanReport) -> Iterator[str]:
    """What the rest will cost on this machine."""
    found = report.prediction
    if report.is_done:
        yield "time: nothing to do"
        return
    if found.origins:
        at_once = f"{report.devices.workers} at a time"
        yield (
            f"time: about {clock(found.wall_seconds)} ({clock(found.low_seconds)} to"
            f" {clock(found.high_seconds)}) with {at_once}, from {' and '.join(found.origins)}"
            " paces"
        )
        gpu = f", {found.gpu_hours:.2f} GPU-hours" if report.devices.gpu else ", no GPU"
        yield (
            f"cost: {found.training_seconds / 3600:.2f} training hours{gpu}, peak memory"
            f" {size(found.peak_bytes)} a training"
        )
    if found.unknown:
        yield (
            f"time: not known for {counted(found.unknown, 'training')} of a kind not measured here"
            " yet; 'sweeper plan' measures it, after 'sweeper embed'"
        )


def comparison_lines(predicted: Prediction, came: Actual) -> Iterator[str]:
    """What was predicted and what came of it, side by side."""
    rows = (
        ("time", clock(predicted.wall_seconds), clock(came.wall_seconds)),
        (
            "training hours",
            f"{predicted.training_seconds / 3600:.3f}",
            f"{came.training_seconds / 3600:.3f}",
        ),
        ("peak memory", size(predicted.peak_bytes), size(came.peak_bytes)),
        ("trainings", str(predicted.trainings), str(came.trainings)),
    )
    yield f"{'cost of this run':17} {'predicted':>11} {'actual':>11}"
    is_guess = bool(predicted.origins)  # without a pace the numbers are those of no training
    for name, one, other in rows:
        shown = one if is_guess or name == "trainings" else DASH
        yield f"  {name:15} {shown:>11} {other:>11}"
    if predicted.unknown:
        count = counted(predicted.unknown, "training")
        yield f"  no prediction was made for {count} of a kind not measured here before"


def size(n_bytes: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000 or unit == "GB":
            return f"{n_bytes:.0f} {unit}" if unit in ("B", "kB") else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    raise AssertionError
