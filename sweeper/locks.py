"""Locks between processes (`flock`); the kernel releases them when the process ends."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self


class FileLock:
    """The lock of one file, created if missing; taken by `with`, `take` or `try_take`.

    Args:
        file: The lock file; nothing is written to it.
        removes: True to delete the file when the lock is released.
    """

    def __init__(self, file: Path, *, removes: bool = False) -> None:
        self._file, self._removes = file, removes
        self._held: IO[str] | None = None

    @property
    def is_held(self) -> bool:
        """True if this object holds the lock."""
        return self._held is not None

    def try_take(self) -> bool:
        """Take the lock if no other process holds it; returns True if this object now holds it."""
        return self.is_held or self._take(fcntl.LOCK_EX | fcntl.LOCK_NB)

    def take(self, on_wait: Callable[[], None] | None = None) -> None:
        """Take the lock; waits while another process holds it.

        Args:
            on_wait: Called once if another process holds the lock.
        """
        if not self.try_take():
            if on_wait is not None:
                on_wait()
            self._take(fcntl.LOCK_EX)

    def release(self) -> None:
        """Release the lock; does nothing if it is not held."""
        if self._held is not None:
            if self._removes:
                self._file.unlink(missing_ok=True)
            self._held.close()
            self._held = None

    def __enter__(self) -> Self:
        """Take the lock."""
        self.take()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release the lock."""
        self.release()

    def _take(self, how: int) -> bool:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        while True:
            opened = self._file.open("a")
            try:
                fcntl.flock(opened, how)
                is_current = _is_at(self._file, opened)
            except BlockingIOError:
                opened.close()
                return False
            except BaseException:
                opened.close()
                raise
            if is_current:
                self._held = opened
                return True
            opened.close()  # the previous holder deleted the file: this lock is on a deleted file


def is_locked(file: Path) -> bool:
    """True if a process holds the lock of `file`; the file is not created."""
    try:
        opened = file.open("r+")
    except FileNotFoundError:
        return False
    with opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def exclusive_write(path: Path, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock of an output: a second process waits and then finds it already written.

    Args:
        path: The output, which need not exist; the lock file is beside it while the lock is held.
        on_wait: Called once if another process holds the lock.
    """
    lock = FileLock(path.with_name(f".{path.name}.lock"), removes=True)
    lock.take(on_wait)
    try:
        yield
    finally:
        lock.release()


def _is_at(file: Path, opened: IO[str]) -> bool:
    try:
        return file.stat().st_ino == os.fstat(opened.fileno()).st_ino
    except FileNotFoundError:
        return False
