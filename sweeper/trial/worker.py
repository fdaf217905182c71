"""What runs inside a worker process: one training after another, watched."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desam_model.types import Decision, EpochRecord
from sweeper.locks import FileLock
from sweeper.plan.job import TrainingJob
from sweeper.records import FailureReason, TrialOutcome
from sweeper.store.json_file import read_json
from sweeper.store.ledger import TrainingFolder
from sweeper.store.processes import is_local, process_identity
from sweeper.trial.failures import classify, describe
from sweeper.trial.same_code import read_code
from sweeper.trial.watchdog import Watchdog, kernel_oom_kills

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_LETS_GO_S = 60.0
"""How long what is left over of a training may take to end: Ray ends the workers of a lost machine,
and of a dead driver, within a minute."""
_POLL_S = 0.2


def train_one(
    text: str, memory_bytes: int, report: Callable[[dict[str, Any]], None]
) -> TrialOutcome:
    """Run a job from its text; what happens is in its folder, and in the outcome.

    Args:
        text: `TrainingJob.to_json()`.
        memory_bytes: Anonymous memory the process may hold before the guard ends it; 0: no guard.
        report: Told of every epoch.

    Returns:
        `COMPLETED`, `PRUNED` or `FAILED`; `TAKEN` if another process has it, which for what
        `is_lease_ending` is said only after a minute; `DISK_FULL` if its disk has no room, where
        nothing may be left to read in its folder.
    """
    job = TrainingJob.from_json(text)
    folder = TrainingFolder(Path(job.folder))
    take_device(job.gpu)
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        with _claimed(folder, job.owner) as is_ours:
            if not is_ours:
                return TrialOutcome.TAKEN
            return _train_claimed(job, folder, memory_bytes, report)
    except OSError as error:
        if classify(error) is not FailureReason.DISK_FULL:
            raise
        return TrialOutcome.DISK_FULL


def take_device(gpu: float) -> None:
    """Hide the GPUs from a training on cores; keep one that shares a GPU within its share.

    Ray's fractions are book-keeping only (sources.md S57): without the cap, one training could take
    its neighbour's memory.
    """
    if gpu == 0:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif gpu < 1:
        import torch  # paid by the worker anyway

        if torch.cuda.is_available():
            torch.cuda.set_per_process_memory_fraction(gpu)


def _train_claimed(
    job: TrainingJob,
    folder: TrainingFolder,
    memory_bytes: int,
    report: Callable[[dict[str, Any]], None],
) -> TrialOutcome:
    read_code(job)  # before it is imported
    # imports torch: paid once per process, in the worker
    from sweeper.trial.run_trial import run_trial

    has_hung = False
    last = read_json(folder.path / "attempt.json")
    if last is not None and last.get("owner") == job.owner:
        failure = folder.failure()
        has_hung = failure is not None and failure.reason is FailureReason.HUNG
        if failure is not None and (not has_hung or last.get("has_hung")):
            # the watchdog ended it in this very run: unchanged, it would end so again; only what
            # hangs may have waited for something else, and is tried once more
            return TrialOutcome.FAILED
        if _was_killed_for_memory(last):
            text = "the kernel killed its process because memory ran out"
            folder.fail(FailureReason.HOST_OOM, text)
            return TrialOutcome.FAILED
    folder.remove_records("failure", "pruned")
    folder.write(
        "attempt",
        {
            "owner": job.owner,
            "worker": process_identity(),
            "oom_kills": kernel_oom_kills(),
            "has_hung": has_hung,
        },
    )
    folder.renew_lease(job.owner)
    watchdog = Watchdog(folder, job.owner, memory_bytes, job.hang_s)

    def on_epoch(record: EpochRecord) -> Decision:
        watchdog.progressed()
        report(asdict(record))
        return Decision.CONTINUE

    with _logged(folder.log), watchdog:
        try:
            is_whole = run_trial(job, on_epoch, watchdog.progressed)
            outcome = TrialOutcome.COMPLETED if is_whole else TrialOutcome.PRUNED
        except Exception as error:
            outcome = _failed(error, folder)
        finally:
            folder.remove_records("lease")
    folder.remove_records("attempt")
    return outcome


def _failed(error: Exception, folder: TrainingFolder) -> TrialOutcome:
    """Put down what happened, as far as the disk has room for it."""
    with contextlib.suppress(OSError):
        traceback.print_exc()
    failure = describe(error, folder.log)
    if failure.reason is FailureReason.DISK_FULL:
        with contextlib.suppress(OSError):
            folder.write_failure(failure)
        return TrialOutcome.DISK_FULL
    folder.write_failure(failure)
    return TrialOutcome.FAILED


def _was_killed_for_memory(last: Mapping[str, Any]) -> bool:
    """True if the attempt before this one was cut off, and the kernel has since killed for memory.

    The counter is the machine's (or the container's), so an attempt elsewhere tells nothing.
    """
    is_same_machine = is_local(str(last.get("worker", "")))
    return is_same_machine and kernel_oom_kills() > int(last.get("oom_kills", sys.maxsize))


@contextlib.contextmanager
def _claimed(folder: TrainingFolder, owner: str) -> Iterator[bool]:
    """Whether this process has the training to itself; a killed process loses its claim."""
    deadline = time.monotonic() + _LETS_GO_S
    lock = FileLock(folder.path / ".lock")
    try:
        while not lock.try_take() and folder.is_lease_ending(owner) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        yield lock.is_held
    finally:
        lock.release()


@contextlib.contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Everything that the training prints goes to its own log."""
    log = path.open("a", encoding="utf-8", buffering=1)
    old = sys.stdout, sys.stderr
    try:
        with contextlib.suppress(OSError):  # a full disk is noticed where it costs a result
            print(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} pid {os.getpid()}", file=log)
        sys.stdout = sys.stderr = log
        faulthandler.enable(log, all_threads=False)  # the last stack of a process that aborts
        yield
    finally:
        faulthandler.disable()
        sys.stdout, sys.stderr = old
        with contextlib.suppress(OSError):
            log.close()
