"""The watch beside a training: its lease, its memory, its progress, and the sweep it belongs to."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from desam_model.training.process_memory import anonymous_bytes
from sweeper.records import FailureReason
from sweeper.store.processes import is_gone

if TYPE_CHECKING:
    from sweeper.store.ledger import TrainingFolder

HOST_OOM_EXIT = 137
HUNG_EXIT = 124
ORPHAN_EXIT = 125
_MIN_HANG_S = 600.0
_TICK_S = 0.1
_TICKS_A_LOOK_AT_THE_DRIVER = 10
_TICKS_A_RENEWAL = 100


class Pulse:
    """Renews the lease; ends the process if it eats the host's memory, hangs, or lost its sweep.

    Memory mapped from stores is shared page cache and does not count: only anonymous pages do.
    """

    def __init__(self, folder: TrainingFolder, owner: str, memory_bytes: int) -> None:
        self._folder, self._owner, self._limit = folder, owner, memory_bytes
        self._last_beat = time.monotonic()
        self._slowest = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pulse", daemon=True)

    def beat(self) -> None:
        """An epoch has ended."""
        now = time.monotonic()
        self._slowest = max(self._slowest, now - self._last_beat)
        self._last_beat = now

    def __enter__(self) -> Pulse:
        """Begin to watch."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the watch."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        ticks = 0
        while not self._stop.wait(_TICK_S):
            ticks += 1
            if self._limit and (held := anonymous_bytes()) > self._limit:
                text = f"held {held / 1e9:.1f} GB, more than its {self._limit / 1e9:.1f} GB"
                self._end(FailureReason.HOST_OOM, HOST_OOM_EXIT, text)
            if time.monotonic() - self._last_beat > max(_MIN_HANG_S, 10 * self._slowest):
                self._end(FailureReason.HUNG, HUNG_EXIT, "no epoch ended for too long")
            if ticks % _TICKS_A_LOOK_AT_THE_DRIVER == 0 and is_gone(self._owner):
                os._exit(ORPHAN_EXIT)  # its sweep was killed; the next one goes on from last.pt
            if ticks % _TICKS_A_RENEWAL == 0:
                with contextlib.suppress(OSError):  # a full disk must not end the watch
                    self._folder.renew_lease(self._owner)

    def _end(self, reason: FailureReason, code: int, message: str) -> None:
        with contextlib.suppress(OSError):
            self._folder.fail(reason, message)
        os._exit(code)


def kernel_oom_kills(
    sources: tuple[Path, ...] = (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat")),
) -> int:
    """Processes that the kernel has killed here for want of memory; 0 where it does not say."""
    for source in sources:
        with contextlib.suppress(OSError, ValueError):
            for line in source.read_text().splitlines():
                name, _, count = line.partition(" ")
                if name == "oom_kill":
                    return int(count)
    return 0
