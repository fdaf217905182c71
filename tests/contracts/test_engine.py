"""A real Ray on this machine, with work that costs nothing but does what trainings do."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sweeper.engine import ray_tune
from sweeper.engine.ray_tune import Placement
from sweeper.errors import ResourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.filterwarnings("default")  # Ray's own deprecations are not ours


class Notes:
    """A listener that writes everything down."""

    def __init__(self, stop_after: str | None = None) -> None:
        self.started: list[str] = []
        self.epochs: list[tuple[str, int]] = []
        self.ended: dict[str, bool] = {}
        self._stop_after = stop_after
        self._lock = threading.Lock()  # a real listener holds threads; none of it may be pickled

    def on_start(self, train_id: str) -> None:
        self.started.append(train_id)

    def on_epoch(self, train_id: str, epoch: dict[str, Any]) -> None:
        self.epochs.append((train_id, epoch["epoch"]))

    def on_end(self, train_id: str, is_lost: bool) -> bool:
        self.ended[train_id] = is_lost
        return train_id == self._stop_after


def placement(**changes: Any) -> Placement:
    values = {
        "cpu": 1,
        "gpu": 0.0,
        "memory_bytes": 0,
        "max_concurrent": 2,
        "shares_processes": True,
    }
    return Placement(**{**values, **changes})


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray_tune.start(None)
    yield
    ray_tune.stop()


def work(text: str, limit: int, report: Callable[[dict[str, Any]], None]) -> str:
    """`text` is a small program: `epochs`, `die FILE` (once), `slow`."""
    words = text.split()
    if words[0] == "die" and not Path(words[1]).exists():
        Path(words[1]).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    for epoch in range(2):
        report({"epoch": epoch})
        if words[0] == "slow":
            time.sleep(20)
    return "completed"


def run(jobs: list[str], notes: Notes, tmp_path: Path, **changes: Any) -> ray_tune.Interrupt:
    named = [(f"job{i}", text) for i, text in enumerate(jobs)]
    return ray_tune.run_jobs(named, placement(**changes), notes, tmp_path, work)


def test_every_job_starts_reports_its_epochs_and_ends(tmp_path: Path) -> None:
    notes = Notes()
    interrupt = run(["epochs"] * 4, notes, tmp_path)
    assert interrupt.signal == 0
    assert sorted(notes.started) == sorted(notes.ended) == [f"job{i}" for i in range(4)]
    assert not any(notes.ended.values())
    assert sorted(notes.epochs) == [(f"job{i}", e) for i in range(4) for e in range(2)]


def test_a_killed_worker_is_run_again_and_harms_no_other(tmp_path: Path) -> None:
    notes = Notes()
    run([f"die {tmp_path / 'died'}", "epochs"], notes, tmp_path, shares_processes=False)
    assert (tmp_path / "died").exists()
    assert notes.ended == {"job0": False, "job1": False}


def test_an_interrupt_ends_the_sweep_in_good_order_and_is_told(tmp_path: Path) -> None:
    notes = Notes()

    def interrupt_when_running() -> None:
        while not notes.epochs:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_when_running, daemon=True).start()
    interrupt = run(["slow", "slow", "slow"], notes, tmp_path)
    assert interrupt.signal == signal.SIGINT
    assert "job2" not in notes.ended


def test_the_listener_can_stop_a_sweep(tmp_path: Path) -> None:
    notes = Notes(stop_after="job0")
    run(["epochs"] + ["slow"] * 3, notes, tmp_path, max_concurrent=1)
    assert notes.ended == {"job0": False}


def test_what_no_machine_can_give_is_refused_at_once_with_the_numbers() -> None:
    with pytest.raises(ResourceError, match=r"asks for 4096 CPU.*there is .* CPU"):
        ray_tune.check_fits(placement(cpu=4096))
