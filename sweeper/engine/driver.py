"""Runs trainings on the Ray that this process is connected to, from inside or from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.engine.ray_tune import Interrupt, Signals, fit
from sweeper.engine.remote_tune import is_outside, run_jobs_there

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sweeper.engine.ray_tune import Listener, Work
    from sweeper.records import Placement

_MAX_TRIALS = 1000  # Tune keeps 11 kB of state per trial (sources.md S53)


def run_jobs(
    jobs: Sequence[tuple[str, str]],
    placement: Placement,
    listener: Listener,
    storage: Path,
    work: Work | None = None,
) -> Interrupt:
    """Run trainings until all have ended or somebody stops them.

    Args:
        jobs: `(train_id, TrainingJob.to_json())`, in the order to run.
        placement: What each one gets.
        listener: Told of starts, epochs and ends.
        storage: A folder for Tune's own state, on a file system that every node sees.
        work: What a worker does with a job; by default it trains.

    Returns:
        Whether a signal ended it early.
    """
    if is_outside():
        return run_jobs_there(jobs, placement, listener, storage, work)
    interrupt = Interrupt()
    with Signals(interrupt):
        for begin in range(0, len(jobs), _MAX_TRIALS):
            if not interrupt.signal:
                fit(jobs[begin : begin + _MAX_TRIALS], placement, listener, storage, work)
    return interrupt
