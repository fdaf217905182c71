"""Classifies failures, because each class has its own remedy."""

from __future__ import annotations

import errno
import hashlib
import signal
import traceback
from typing import TYPE_CHECKING

from sweeper.errors import CodeChangedError, DataError, StoreError
from sweeper.records import Failure, FailureReason

if TYPE_CHECKING:
    from pathlib import Path


_FATAL = "Fatal Python error: "
_LOG_TAIL = 50_000
_SIGNALS = {
    "Aborted": signal.SIGABRT,
    "Segmentation fault": signal.SIGSEGV,
    "Bus error": signal.SIGBUS,
    "Floating point exception": signal.SIGFPE,
    "Floating-point exception": signal.SIGFPE,
    "Illegal instruction": signal.SIGILL,
}
"""What faulthandler calls them."""


def classify(error: BaseException) -> FailureReason:
    """The class of an exception that a training raised."""
    name = type(error).__name__
    if name == "OutOfMemoryError" or "CUDA out of memory" in str(error):
        return FailureReason.CUDA_OOM
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return FailureReason.HOST_OOM
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return FailureReason.DISK_FULL
    if name == "NonFiniteLossError":
        return FailureReason.NON_FINITE
    if isinstance(error, CodeChangedError):
        return FailureReason.CODE_CHANGED
    if isinstance(error, (DataError, StoreError)):
        return FailureReason.DATA
    return FailureReason.BUG


def describe(error: BaseException, log: Path) -> Failure:
    """The record of an exception, with a hash that is equal for the same bug."""
    frames = traceback.extract_tb(error.__traceback__)
    key = [type(error).__name__, *(f"{f.filename.rsplit('/', 1)[-1]}:{f.name}" for f in frames)]
    text = str(error).strip().splitlines()
    return Failure(
        reason=classify(error),
        message=f"{type(error).__name__}: {text[0] if text else 'no message'}",
        traceback_hash=hashlib.sha256("|".join(key).encode()).hexdigest()[:12],
        log_path=str(log),
    )


def crash_of(log: Path) -> tuple[FailureReason, str] | None:
    """How a training's process crashed in its last attempt, from its log; None if it did not.

    A training that crashes does so again, so it counts as a bug.
    """
    try:
        text = log.read_bytes()[-_LOG_TAIL:].decode(errors="replace")
    except OSError:
        return None
    fatal = [line for line in text.rpartition("\n--- ")[2].splitlines() if line.startswith(_FATAL)]
    if not fatal:
        return None
    name = fatal[-1].removeprefix(_FATAL).strip()
    number = _SIGNALS.get(name)
    how = f" ({number.name})" if number is not None else ""
    return FailureReason.BUG, f"its process crashed: {name}{how}"


def loss_of(error: BaseException | None) -> tuple[FailureReason, str]:
    """The reason why the process of a training was lost, and one line, from Ray's exception.

    Ray's exception types are recognised by name, because workers import this module without Ray.
    """
    name, text = type(error).__name__, str(error)
    if name == "OutOfMemoryError" or text.startswith("OutOfMemoryError"):
        return FailureReason.HOST_OOM, "Ray stopped its process: the machine was out of memory"
    if getattr(error, "preempted", False):
        return FailureReason.PREEMPTED, "its machine was preempted"
    if name == "NodeDiedError" or "node has died" in text or "node failure" in text.lower():
        return FailureReason.LOST_NODE, "its machine was lost"
    if "SIGTERM" in text:
        return FailureReason.PREEMPTED, "its process was terminated (SIGTERM)"
    return FailureReason.LOST_NODE, "its process was killed or its machine was lost"
