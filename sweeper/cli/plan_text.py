"""How a plan reads on the terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sweeper.cli.progress import clock
from sweeper.plan.states import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sweeper.pipeline.planning import PlanReport


def plan_lines(report: PlanReport) -> Iterator[str]:
    """The lines of `sweeper plan`."""
    plan = report.plan
    cells = f"{plan.n_evaluations} cells = {len(plan.trainings)} trainings"
    yield f"sweep {plan.sweep}: {cells} + {plan.n_evaluations} evaluations"
    counts = Counter(cell.state for cell in report.cells)
    yield "  " + ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    rescored = sum(bool(c.missing) and c.is_trained for c in report.cells)
    if rescored:
        yield f"  {rescored} of them are trained and only need scoring"
    reasons = Counter(cell.note for cell in report.cells if cell.state is State.STALE)
    for reason, count in reasons.items():
        yield f"  {count} stale: {reason}"
    yield from _cost(report)


def _cost(report: PlanReport) -> Iterator[str]:
    disk = report.embedding_bytes + report.checkpoint_bytes
    yield (
        f"disk: {_size(report.embedding_bytes)} of embeddings and {_size(report.checkpoint_bytes)}"
        f" of checkpoints to come, {_size(report.free_bytes)} free"
    )
    if disk > report.free_bytes:
        yield "  that does not fit: free some, or name another place with --workspace"
    estimate = report.estimate
    if all(cell.state is State.DONE for cell in report.cells):
        yield "time: nothing to do"
        return
    if estimate.origins:
        hours = estimate.training_seconds / 3600
        yield (
            f"time: about {clock(report.wall_seconds)} with {report.workers} at a time"
            f" ({hours:.2f} training hours, from {' and '.join(estimate.origins)} paces),"
            f" peak memory {_size(estimate.peak_bytes)}"
        )
    if estimate.unknown:
        yield (
            f"time: {estimate.unknown} trainings are of a kind not measured here yet;"
            " run 'sweeper plan' without --no-probe, after 'sweeper embed'"
        )


def _size(n_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000 or unit == "GB":
            return f"{n_bytes:.0f} {unit}" if unit in ("B", "kB") else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    raise AssertionError
