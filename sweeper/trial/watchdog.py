"""The watchdog of a training: its lease, its memory, its progress and its driver."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from desam_model.training.process_memory import anonymous_bytes
from sweeper.records import FailureReason
from sweeper.store.processes import has_ended

if TYPE_CHECKING:
    from sweeper.store.ledger import TrainingFolder

HOST_OOM_EXIT = 137
HUNG_EXIT = 124
ORPHAN_EXIT = 125
_TICK_S = 0.1
_LONGEST_TICK_S = 1.0
"""A longer pause between two ticks was the machine's (suspended, stopped), not the training's."""
_TICKS_PER_DRIVER_CHECK = 10
_TICKS_PER_RENEWAL = 100


class Watchdog:
    """Renews the lease; ends the process if it exceeds its memory, hangs, or has lost its driver.

    Only anonymous memory counts; memory-mapped stores are shared page cache. A training hangs if
    nothing moves, no batch and no case, for `hang_s` of the time in which this process ran, or ten
    times the longest gap so far: a suspended machine adds nothing to it.
    """

    def __init__(
        self, folder: TrainingFolder, owner: str, memory_bytes: int, hang_s: float
    ) -> None:
        self._folder, self._owner, self._limit = folder, owner, memory_bytes
        self._hang_s, self._slowest = hang_s, 0.0
        self._active_s, self._moved_at = 0.0, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def progressed(self) -> None:
        """Restart the timeout, because the training has moved on."""
        now = self._active_s
        self._slowest = max(self._slowest, now - self._moved_at)
        self._moved_at = now

    def __enter__(self) -> Watchdog:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the thread."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        ticks, last = 0, time.monotonic()
        while not self._stop.wait(_TICK_S):
            ticks += 1
            # memory
            if self._limit and (used := anonymous_bytes()) > self._limit:
                text = f"used {used / 1e9:.1f} GB, more than its limit {self._limit / 1e9:.1f} GB"
                self._end(FailureReason.HOST_OOM, HOST_OOM_EXIT, text)
            # progress
            now = time.monotonic()
            self._active_s += min(now - last, _LONGEST_TICK_S)
            last = now
            waited, limit = self._active_s - self._moved_at, max(self._hang_s, 10 * self._slowest)
            if waited > limit:
                text = (
                    f"no batch or case finished for {waited:.0f} s (limit {limit:.0f} s; raise it"
                    " with --set resources.hang_minutes=60)"
                )
                self._end(FailureReason.HUNG, HUNG_EXIT, text)
            # driver and lease
            if ticks % _TICKS_PER_DRIVER_CHECK == 0 and has_ended(self._owner):
                os._exit(ORPHAN_EXIT)  # its driver was killed; the next one resumes from last.pt
            if ticks % _TICKS_PER_RENEWAL == 0:
                with contextlib.suppress(OSError):  # a full disk must not stop the watchdog
                    self._folder.renew_lease(self._owner)

    def _end(self, reason: FailureReason, code: int, message: str) -> None:
        with contextlib.suppress(OSError):
            self._folder.fail(reason, message)
        os._exit(code)


def kernel_oom_kills(
    sources: tuple[Path, ...] = (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat")),
) -> int:
    """Number of processes that the kernel killed because of low memory; 0 if it is unknown."""
    for source in sources:
        with contextlib.suppress(OSError, ValueError):
            for line in source.read_text().splitlines():
                name, _, count = line.partition(" ")
                if name == "oom_kill":
                    return int(count)
    return 0
