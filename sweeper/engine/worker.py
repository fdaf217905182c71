"""What runs inside a worker process: one training after another, watched."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import threading
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desam_model.types import Decision, EpochRecord
from sweeper.engine.failures import describe
from sweeper.plan.job import TrainingJob
from sweeper.store.ledger import TrainingFolder, read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOST_OOM_EXIT = 137
HUNG_EXIT = 124
_MIN_HANG_S = 600.0


def train_one(text: str, memory_bytes: int, report: Callable[[dict[str, Any]], None]) -> str:
    """Run a job from its text; what happens is in its folder, and in the word returned.

    Args:
        text: `TrainingJob.to_json()`.
        memory_bytes: Anonymous memory the process may hold before the guard ends it; 0: no guard.
        report: Told of every epoch.

    Returns:
        `completed`, `pruned` or `failed`; `taken` if another sweep is at work on it.
    """
    job = TrainingJob.from_json(text)
    folder = TrainingFolder(Path(job.folder))
    folder.path.mkdir(parents=True, exist_ok=True)
    with _claimed(folder.path / ".lock") as is_ours:
        return _train_claimed(job, folder, memory_bytes, report) if is_ours else "taken"


def _train_claimed(
    job: TrainingJob,
    folder: TrainingFolder,
    memory_bytes: int,
    report: Callable[[dict[str, Any]], None],
) -> str:
    from sweeper.trial import run_trial  # imports torch: paid once a process, in the worker

    attempt = read_json(folder.path / "attempt.json")
    if folder.failure() is not None and attempt == {"owner": job.owner}:
        return "failed"  # the guard ended it in this very run: unchanged, it would end so again
    folder.forget("failure", "pruned")
    folder.write("attempt", {"owner": job.owner})
    folder.renew_lease(job.owner)
    pulse = _Pulse(folder, job.owner, memory_bytes)

    def on_epoch(record: EpochRecord) -> Decision:
        pulse.beat()
        report(asdict(record))
        return Decision.CONTINUE

    with _logged(folder.log), pulse:
        try:
            return "completed" if run_trial(job, on_epoch) else "pruned"
        except Exception as error:
            traceback.print_exc()
            folder.write("failure", asdict(describe(error, folder.log)))
            return "failed"
        finally:
            folder.forget("lease")


@contextlib.contextmanager
def _claimed(path: Path) -> Iterator[bool]:
    """Whether this process has the training to itself; a killed process loses its claim."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


class _Pulse:
    """Renews the lease, and ends the process if it eats the host's memory or stops moving.

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

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        ticks = 0
        while not self._stop.wait(0.1):
            ticks += 1
            if self._limit and anonymous_bytes() > self._limit:
                self._end("host_oom", HOST_OOM_EXIT, f"over {self._limit / 1e9:.1f} GB")
            if time.monotonic() - self._last_beat > max(_MIN_HANG_S, 10 * self._slowest):
                self._end("hung", HUNG_EXIT, "no epoch ended for too long")
            if ticks % 100 == 0:
                self._folder.renew_lease(self._owner)

    def _end(self, reason: str, code: int, message: str) -> None:
        self._folder.write(
            "failure",
            {
                "reason": reason,
                "message": message,
                "traceback_hash": reason,
                "log_path": str(self._folder.log),
            },
        )
        os._exit(code)


def anonymous_bytes() -> int:
    """Anonymous memory of this process; 0 where the system does not say."""
    with contextlib.suppress(OSError, ValueError), Path("/proc/self/status").open() as file:
        for line in file:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


@contextlib.contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Everything that the training prints goes to its own log."""
    with path.open("a", encoding="utf-8", buffering=1) as log:
        print(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} pid {os.getpid()}", file=log)
        old = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = log
        try:
            yield
        finally:
            sys.stdout, sys.stderr = old
