"""The right to make one dataset: a second process waits, and then finds the work done."""

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
    """Hold the lock of what will be at `path`.

    The lock is the kernel's (`flock`) and ends with its process, however that ends.

    Args:
        path: Of the dataset; the lock's file lies beside it while it is held.
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
            # the holder before us removed the file: what we locked is another one by now
            if not file.exists() or file.stat().st_ino != os.fstat(lock.fileno()).st_ino:
                continue
            try:
                yield
            finally:
                file.unlink(missing_ok=True)
            return
