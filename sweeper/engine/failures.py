"""Failures are told apart, because each kind has its own remedy."""

from __future__ import annotations

import errno
import hashlib
import traceback
from typing import TYPE_CHECKING

from sweeper.errors import DataError, StoreError
from sweeper.records import Failure, FailureReason

if TYPE_CHECKING:
    from pathlib import Path

RETRIED = frozenset(
    {
        FailureReason.CUDA_OOM,
        FailureReason.HOST_OOM,
        FailureReason.PREEMPTED,
        FailureReason.LOST_NODE,
    }
)
"""Reasons that may go away when the training is run again; a bug does not."""


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
    if isinstance(error, (DataError, StoreError)):
        return FailureReason.DATA
    return FailureReason.BUG


def describe(error: BaseException, log: Path) -> Failure:
    """The failure that an exception means, with the hash that equal bugs share."""
    frames = traceback.extract_tb(error.__traceback__)
    shape = [type(error).__name__, *(f"{f.filename.rsplit('/', 1)[-1]}:{f.name}" for f in frames)]
    text = str(error).strip().splitlines()
    return Failure(
        reason=classify(error),
        message=f"{type(error).__name__}: {text[0] if text else 'no message'}",
        traceback_hash=hashlib.sha256("|".join(shape).encode()).hexdigest()[:12],
        log_path=str(log),
    )
