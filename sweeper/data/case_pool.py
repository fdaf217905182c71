"""Cases prepared side by side: by worker processes and, meanwhile, by this one."""

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
"""What a worker costs before its first case: importing numpy, SciPy, nibabel and scikit-image."""

_AHEAD = 2
"""Cases handed to each worker beforehand, so that it never waits for this process."""


def default_processes() -> int:
    """Processors this process may use, at most 8: more only wait for the disk."""
    return min(8, len(os.sched_getaffinity(0)))


def process_cases(jobs: Sequence[CaseJob], *, processes: int) -> Iterator[CaseResult]:
    """The result of every job, as they finish.

    The first case is prepared here, which tells what the others will take; workers are started only
    if they pay. This process goes on preparing cases while they start and work.

    Args:
        jobs: One a case.
        processes: Processes at work, this one included.

    Raises:
        DataError: A worker was killed.
    """
    left = deque(jobs)
    while left:
        start = time.perf_counter()
        yield process_case(left.popleft())
        if processes > 1 and (time.perf_counter() - start) * len(left) > 2 * WORKER_START_S:
            yield from _with_workers(left, processes - 1)


def _with_workers(left: deque[CaseJob], workers: int) -> Iterator[CaseResult]:
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(
        min(workers, len(left)), mp_context=context, initializer=_end_with_parent
    ) as pool:
        handed: set[Future[CaseResult]] = set()
        try:
            while left or handed:
                while left and len(handed) < _AHEAD * workers:
                    handed.add(pool.submit(process_case, left.popleft()))
                if left:
                    yield process_case(left.popleft())
                else:
                    wait(handed, return_when=FIRST_COMPLETED)
                finished = {future for future in handed if future.done()}
                handed -= finished
                yield from (future.result() for future in finished)
        except BrokenProcessPool as err:
            raise DataError(
                "a worker process was killed, most likely for want of memory; run the import again"
                " with --processes 1, it goes on where it stopped"
            ) from err
        finally:
            pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """End this worker when its parent is gone: a killed import leaves no process behind."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
