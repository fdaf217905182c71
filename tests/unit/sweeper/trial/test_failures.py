from __future__ import annotations

import errno
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from desam_model.training.fit import NonFiniteLossError
from desam_model.training.process_memory import anonymous_bytes
from sweeper.errors import DataError, StoreError
from sweeper.locks import FileLock
from sweeper.pipeline.running.listen import SweepListener
from sweeper.records import FailureReason
from sweeper.store.ledger import TrainingFolder
from sweeper.trial.failures import classify, crash_of, describe
from sweeper.trial.worker import train_one


class OutOfMemoryError(RuntimeError):
    """Named as torch names it."""


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OutOfMemoryError("CUDA"), FailureReason.CUDA_OOM),
        (RuntimeError("CUDA out of memory. Tried to allocate"), FailureReason.CUDA_OOM),
        (MemoryError(), FailureReason.HOST_OOM),
        (OSError(errno.ENOSPC, "No space left on device"), FailureReason.DISK_FULL),
        (NonFiniteLossError(1, 2, ("a",), float("nan")), FailureReason.NON_FINITE),
        (StoreError("slice 3 is damaged"), FailureReason.DATA),
        (DataError("case x"), FailureReason.DATA),
        (KeyError("x"), FailureReason.BUG),
    ],
)
def test_each_failure_has_its_class(error: BaseException, reason: FailureReason) -> None:
    assert classify(error) is reason


def fail(depth: int) -> None:
    if depth:
        fail(depth - 1)
    raise ValueError(f"at depth {depth}")


def described(depth: int) -> str:
    try:
        fail(depth)
    except ValueError as error:
        return describe(error, Path("log.txt")).traceback_hash
    raise AssertionError


def test_equal_bugs_have_equal_hashes_and_other_ones_do_not() -> None:
    assert described(1) == described(1) != described(2)


def test_a_message_is_one_line(tmp_path: Path) -> None:
    failure = describe(ValueError("first\nsecond"), tmp_path / "log.txt")
    assert failure.message == "ValueError: first"


def test_a_training_that_another_sweep_has_is_left_alone(tmp_path: Path) -> None:
    from sweeper.config.trial import TrialConfig
    from sweeper.plan.job import TrainingJob

    config = TrialConfig.model_validate({"source": "A", "method": {"name": "desam"}})
    job = TrainingJob(
        train_id="t",
        identity={},
        config=config,
        evaluations={},
        dataset="/nowhere",
        embeddings=None,
        folder=str(tmp_path),
        threads=1,
        owner="me",
    )
    assert TrainingJob.from_json(job.to_json()) == job
    folder = TrainingFolder(tmp_path)
    with FileLock(tmp_path / ".lock") as other:
        folder.renew_lease("another")
        assert train_one(job.to_json(), 0, lambda _: None) == "taken"
        folder.renew_lease("me")  # an earlier attempt of the same sweep is waited for
        threading.Timer(0.5, other.release).start()
        assert train_one(job.to_json(), 0, lambda _: None) == "failed"
    assert "is not a dataset store" in (tmp_path / "failure.json").read_text()
    assert "Traceback" in (tmp_path / "log.txt").read_text()


def test_the_guard_sees_this_process() -> None:
    assert anonymous_bytes() > 1_000_000


def test_the_listener_is_an_engine_listener() -> None:
    from sweeper.engine.ray_tune import Listener

    wanted = {name for name in vars(Listener) if name.startswith("on_")}
    assert wanted <= set(dir(SweepListener))


CRASH = """
import os, sys
from pathlib import Path
from sweeper.trial.worker import _logged

def deep_in_a_library():
    os.kill(os.getpid(), int(sys.argv[2]))

with _logged(Path(sys.argv[1])):
    deep_in_a_library()
"""


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (signal.SIGABRT, "its process crashed: Aborted (SIGABRT)"),
        (signal.SIGSEGV, "its process crashed: Segmentation fault (SIGSEGV)"),
    ],
)
def test_a_process_that_crashes_leaves_its_stack_and_is_called_by_its_signal(
    tmp_path: Path, number: int, text: str
) -> None:
    log = tmp_path / "log.txt"
    subprocess.run([sys.executable, "-c", CRASH, str(log), str(int(number))], check=False)
    assert "in deep_in_a_library" in log.read_text()
    assert crash_of(log) == (FailureReason.BUG, text)
    with log.open("a") as later:
        later.write("--- 2026-01-01 00:00:00 pid 1\nepoch 0\n")
    assert crash_of(log) is None


def test_a_process_that_was_killed_has_not_crashed(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    assert crash_of(log) is None
    subprocess.run([sys.executable, "-c", CRASH, str(log), "9"], check=False)
    assert crash_of(log) is None
