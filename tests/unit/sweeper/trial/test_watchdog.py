"""What the watchdog takes for a hang; each case is a process of its own, because it ends it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweeper.store.ledger import TrainingFolder
from sweeper.trial.watchdog import HUNG_EXIT, Watchdog

WATCHED = """
import sys, time
from pathlib import Path
from sweeper.store.ledger import TrainingFolder
from sweeper.store.processes import process_identity
from sweeper.trial.watchdog import Watchdog

hang_s, moves, pause = (float(text) for text in sys.argv[2:])
with Watchdog(TrainingFolder(Path(sys.argv[1])), process_identity(), 0, hang_s) as watchdog:
    print("watched", flush=True)
    for _ in range(int(moves)):
        time.sleep(pause)
        watchdog.progressed()
"""

WORKER = """
import sys, time
from pathlib import Path
import sweeper.trial.run_trial as trial
import sweeper.trial.worker as worker

def hang(job, on_epoch, on_progress):
    (Path(job.folder) / "tries").open("a").write("x")
    time.sleep(60)

trial.run_trial, worker.read_code = hang, lambda job: None
print(worker.train_one(Path(sys.argv[1]).read_text(), 0, print).value)
"""


def watched(folder: Path, hang_s: float, moves: int, pause: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WATCHED, *map(str, (folder, hang_s, moves, pause))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "watched\n"
    return process


def test_what_moves_is_not_hung_however_long_it_takes(tmp_path: Path) -> None:
    with watched(tmp_path, 1.0, 10, 0.3) as process:
        assert process.wait() == 0
    assert TrainingFolder(tmp_path).failure() is None


def test_what_does_not_move_is_hung(tmp_path: Path) -> None:
    with watched(tmp_path, 0.5, 1, 60) as process:
        assert process.wait() == HUNG_EXIT
    failure = TrainingFolder(tmp_path).failure()
    assert failure is not None
    assert failure.reason == "hung"
    assert failure.message.startswith("no batch or case finished for 1 s (limit 0 s; raise it")


def test_a_long_first_gap_allows_longer_ones_later(tmp_path: Path) -> None:
    watchdog = Watchdog(TrainingFolder(tmp_path), "nobody", 0, 1.0)
    watchdog._active_s = 5.0
    watchdog.progressed()
    assert watchdog._slowest == 5.0
    watchdog._active_s = 6.0
    watchdog.progressed()
    assert watchdog._slowest == 5.0


def test_a_suspended_machine_adds_nothing_to_the_clock(tmp_path: Path) -> None:
    with watched(tmp_path, 2.5, 1, 1.0) as process:
        process.send_signal(signal.SIGSTOP)
        time.sleep(4.0)
        process.send_signal(signal.SIGCONT)
        assert process.wait() == 0


@pytest.mark.parametrize("n_hangs", [1, 2])
def test_a_hung_training_is_tried_once_more_in_the_same_run(tmp_path: Path, n_hangs: int) -> None:
    from sweeper.config.trial import TrialConfig
    from sweeper.plan.job import TrainingJob
    from sweeper.store.processes import process_identity

    job = TrainingJob(
        train_id="t",
        identity={},
        config=TrialConfig(source="A", structure="prostate", method={"name": "unet"}),
        evaluations={},
        dataset="",
        embeddings=None,
        folder=str(tmp_path / "t"),
        threads=1,
        owner=process_identity(),
        gpu=0,
        hang_s=0.5,
    )
    (tmp_path / "job.json").write_text(job.to_json())
    command = [sys.executable, "-c", WORKER, str(tmp_path / "job.json")]
    for _ in range(n_hangs):
        assert subprocess.run(command, env=os.environ, check=False).returncode == HUNG_EXIT
    if n_hangs == 2:
        last = subprocess.run(command, capture_output=True, text=True, check=True)
        assert last.stdout == "failed\n"
    assert (tmp_path / "t" / "tries").read_text() == "x" * n_hangs
    assert json.loads((tmp_path / "t" / "failure.json").read_text())["reason"] == "hung"
