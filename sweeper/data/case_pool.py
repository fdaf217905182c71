"""Prepares cases in parallel, in worker processes and in this process."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, get_context, parent_process
from typing import TYPE_CHECKING

from sweeper.data.importer import CaseJob, CaseResult, process_case
from sweeper.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WORKER_START_S = 1.5
"""Time until a worker's first case: it imports numpy, SciPy, nibabel and scikit-image."""

_AHEAD = 2
"""Cases queued per worker, so that it never waits for this process."""


def default_processes() -> int:
    """Number of usable CPU cores, at most 8: more processes would only wait for the disk."""
    return min(8, len(os.sched_getaffinity(0)))


def process_cases(jobs: Sequence[CaseJob], *, processes: int) -> Iterator[CaseResult]:
    """The results of all jobs, in the order in which they finish.

    This process prepares the first case and measures its time; it starts workers only if they save
    time. Meanwhile it continues to prepare cases itself.

    Args:
        jobs: One per case.
        processes: Number of processes, including this one.

    Raises:
        DataError: A worker was killed.
    """
    queue = deque(jobs)
    while queue:
        start = time.perf_counter()
        yield process_case(queue.popleft())
        if processes > 1 and (time.perf_counter() - start) * len(queue) > 2 * WORKER_START_S:
            yield from _with_workers(queue, processes - 1)


def _with_workers(queue: deque[CaseJob], workers: int) -> Iterator[CaseResult]:
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(
        min(workers, len(queue)), mp_context=context, initializer=_end_with_parent
    ) as pool:
        submitted: set[Future[CaseResult]] = set()
        try:
            while queue or submitted:
                while queue and len(submitted) < _AHEAD * workers:
                    submitted.add(pool.submit(process_case, queue.popleft()))
                if queue:
                    yield process_case(queue.popleft())
                else:
                    wait(submitted, return_when=FIRST_COMPLETED)
                finished = {future for future in submitted if future.done()}
                submitted -= finished
                yield from (future.result() for future in finished)
        except BrokenProcessPool as err:
            raise DataError(
                "a worker process was killed, probably because it ran out of memory; run the import"
                " again with --processes 1 to resume it"
            ) from err
        finally:
            pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Make this worker end with its parent, so that a killed import leaves no process behind."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
