"""A lock per dataset: a second process waits and then finds the dataset already written."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def dataset_lock(path: Path, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock of the dataset at `path`, which need not exist yet.

    The lock is the kernel's (`flock`): it is released when the process ends, even if it is killed.

    Args:
        path: Of the dataset; the lock file is beside it while the lock is held.
        on_wait: Called once if another process holds the lock.
    """
    file = path.with_name(f".{path.name}.lock")
    file.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with file.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if on_wait is not None:
                    on_wait()
                    on_wait = None
                fcntl.flock(lock, fcntl.LOCK_EX)
            # the previous holder removed the file, so this lock may be on a deleted file
            if not file.exists() or file.stat().st_ino != os.fstat(lock.fileno()).st_ino:
                continue
            try:
                yield
            finally:
                file.unlink(missing_ok=True)
            return
