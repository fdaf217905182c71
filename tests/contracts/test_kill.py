"""Driver, worker and node are killed at random moments; the same command goes on each time."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from scripted import Sweep, expected

from sweeper.plan.states import State, cells_of
from sweeper.records import Placement

if TYPE_CHECKING:
    from collections.abc import Iterator

DRIVER = Path(__file__).parents[1] / "support" / "scripted_driver.py"
SEEDS, EPOCH_S = 4, 0.6
PLACEMENT = Placement(
    cpu=1, gpu=0.0, memory_bytes=0, max_concurrent=2, shares_processes=True, hang_s=600.0
)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["driver", "worker", "node"])
def test_after_a_kill_the_same_command_completes_the_sweep(victim: str, tmp_path: Path) -> None:
    kill_and_repeat(victim, tmp_path, random.Random(victim))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("round_", range(20))
def test_random_kills_leave_the_rows_of_an_uninterrupted_run(round_: int, tmp_path: Path) -> None:
    rng = random.Random(round_)
    kill_and_repeat(rng.choice(["driver", "worker", "node"]), tmp_path, rng)


def kill_and_repeat(victim: str, root: Path, rng: random.Random) -> None:
    """Start, kill at a random moment while trainings run, and repeat the command to the end."""
    sweep = Sweep(root=root, scripts={}, seeds=SEEDS, placement=PLACEMENT)
    nodes = 2 if victim == "node" else 0
    with driver(root, nodes) as process:
        wait_for_an_epoch(sweep, process)
        time.sleep(rng.uniform(0.0, 2.0))
        if victim == "driver":
            process.kill()
            process.wait()
            assert all_workers_end(sweep, within_s=15)
            lost = [c for c in cells_of(sweep.plan, sweep.ledger) if c.state is State.RUNNING]
            assert lost == []
        else:
            os.kill(pid_of(victim, sweep, rng), signal.SIGKILL)
        process.wait(timeout=200)
    for _ in range(2):
        if all(sweep.numbers(seed) for seed in range(SEEDS)):
            break
        with driver(root, nodes) as process:
            assert process.wait(timeout=200) == 0
    assert [sweep.numbers(seed) for seed in range(SEEDS)] == [expected(s) for s in range(SEEDS)]
    assert [sweep.times_ended(seed) for seed in range(SEEDS)] == [1] * SEEDS
    assert rows(sweep) == rows_of_an_uninterrupted_run()


@contextlib.contextmanager
def driver(root: Path, nodes: int) -> Iterator[subprocess.Popen[bytes]]:
    """A driver in a session of its own, of which nothing is left at the end."""
    with (root / "driver.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, str(DRIVER), str(root), str(SEEDS), str(EPOCH_S), str(nodes)],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for_an_epoch(sweep: Sweep, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline and process.poll() is None:
        if any((sweep.folder(seed).path / "last.json").exists() for seed in range(SEEDS)):
            return
        time.sleep(0.05)
    pytest.fail((sweep.root / "driver.log").read_text()[-2000:])


def pid_of(victim: str, sweep: Sweep, rng: random.Random) -> int:
    """A raylet of the cluster, or a worker that holds a lease."""
    if victim == "node":
        return int(rng.choice(json.loads((sweep.root / "raylets.json").read_text())))
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        pids = running(sweep)
        if pids:
            return rng.choice(pids)
        time.sleep(0.05)
    raise AssertionError("no worker holds a lease")


def running(sweep: Sweep) -> list[int]:
    """Worker processes that hold a lease."""
    pids = []
    for seed in range(SEEDS):
        folder = sweep.folder(seed)
        if folder.lease_owner() is not None:
            lease = json.loads((folder.path / "lease.json").read_text())
            pids.append(int(lease["worker"].split("/")[2]))
    return sorted(pids)


def all_workers_end(sweep: Sweep, within_s: float) -> bool:
    """True once no worker of the killed driver is at work any more."""
    deadline = time.monotonic() + within_s
    while running(sweep) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not running(sweep)


def rows(sweep: Sweep) -> list[tuple[int, str, float]]:
    """The long rows: every score of every training."""
    found = []
    for training in sweep.plan.trainings:
        folder = sweep.ledger.folder(training.train_id)
        for evaluation in training.evaluations:
            for score in folder.evaluation(evaluation.eval_id)["scores"]:
                found.append((training.config.seed, score["case"], score["values"]["dice"]))
    return sorted(found)


def rows_of_an_uninterrupted_run() -> list[tuple[int, str, float]]:
    """A score is a sum over a training's epochs: a lost or repeated epoch would change it."""
    return [(seed, "b1", sum(expected(seed)) / 1e5) for seed in range(SEEDS)]
