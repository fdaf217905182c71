"""One holder at a time; a waiting process is notified once; a deleted lock file locks nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from sweeper.locks import FileLock, exclusive_write, is_locked

if TYPE_CHECKING:
    from pathlib import Path


def test_a_second_lock_is_refused_at_once_while_the_first_is_held(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "x.lock"
    assert not is_locked(file)
    assert not file.exists()
    one, other = FileLock(file), FileLock(file)
    assert one.try_take()
    assert one.try_take()  # held already
    assert not other.try_take()
    assert not other.is_held
    assert is_locked(file)
    one.release()
    one.release()
    assert not is_locked(file)
    assert file.exists()
    assert other.try_take()
    other.release()


def test_a_waiting_process_is_notified_once_and_then_holds_the_lock(tmp_path: Path) -> None:
    file, told = tmp_path / "x.lock", []
    waiter = FileLock(file)
    with ThreadPoolExecutor(1) as pool:
        with FileLock(file):
            waits = pool.submit(waiter.take, lambda: told.append(1))
            while not told:
                time.sleep(0.005)
            assert not waits.done()
        waits.result(timeout=10)
    assert waiter.is_held
    assert told == [1]
    waiter.release()


def test_a_waiting_writer_locks_the_current_file_and_not_a_deleted_one(tmp_path: Path) -> None:
    path, inside = tmp_path / "x.zarr", []

    def make(number: int) -> None:
        with exclusive_write(path):
            inside.append(number)
            time.sleep(0.02)
            assert inside[-1] == number  # nobody else came in

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(8)))
    assert sorted(inside) == list(range(8))
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_loses_its_lock(tmp_path: Path) -> None:
    file = tmp_path / "x.lock"
    code = (
        "import sys, time, pathlib; from sweeper.locks import FileLock;"
        "lock = FileLock(pathlib.Path(sys.argv[1])); lock.take(); print('held', flush=True);"
        "time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert is_locked(file)
        os.kill(holder.pid, signal.SIGKILL)
    lock = FileLock(file)
    assert lock.try_take()
    lock.release()


def test_no_other_module_uses_the_kernels_locks() -> None:
    from pathlib import Path

    root = Path(__file__).resolve().parents[3]
    users = [
        str(path.relative_to(root))
        for room in ("sweeper", "desam_model")
        for path in sorted((root / room).rglob("*.py"))
        if "fcntl" in path.read_text()
    ]
    assert users == ["sweeper/locks.py"]
