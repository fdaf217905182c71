"""Runs trainings on the Ray that this process is connected to, from inside or from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.engine.ray_tune import Interrupt, Signals, run_source
from sweeper.engine.remote_tune import is_outside, run_jobs_there

if TYPE_CHECKING:
    from pathlib import Path

    from sweeper.engine.ray_tune import JobSource, Listener, Work
    from sweeper.records import Placement


def run_jobs(
    source: JobSource,
    placement: Placement,
    listener: Listener,
    storage: Path,
    work: Work | None = None,
) -> Interrupt:
    """Run trainings until the source is exhausted and all have ended, or somebody stops them.

    Args:
        source: Hands out the jobs, each once.
        placement: What each training gets.
        listener: Told of starts, epochs and ends.
        storage: A folder for Tune's own state, on a file system that every node sees.
        work: What a worker does with a job; by default it trains.

    Returns:
        Whether a signal ended it early.
    """
    interrupt = Interrupt()
    if is_outside():
        run_jobs_there(source, placement, listener, storage, work, interrupt)
    else:
        with Signals(interrupt):
            run_source(source, placement, listener, storage, work, interrupt)
    return interrupt
