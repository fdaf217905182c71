"""Classifies failures, because each class has its own remedy."""

from __future__ import annotations

import errno
import hashlib
import traceback
from typing import TYPE_CHECKING

from sweeper.errors import CodeChangedError, DataError, StoreError
from sweeper.records import Failure, FailureReason

if TYPE_CHECKING:
    from pathlib import Path


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
