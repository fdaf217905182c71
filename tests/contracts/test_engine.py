"""A real Ray on this machine, with work that costs nothing but does what trainings do."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from scripted import (
    Sweep,
    expected,
    hold,
    mark_of,
    workers_need_not_import,
)

from desam_model.types import Decision
from sweeper.engine import cluster as ray_cluster
from sweeper.engine import driver, ray_tune
from sweeper.errors import ResourceError
from sweeper.records import Placement, TrialOutcome
from sweeper.store.processes import process_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

workers_need_not_import(__name__)
pytestmark = pytest.mark.filterwarnings("default")  # Ray's own deprecations are not ours


class Notes:
    """A listener that writes everything down."""

    def __init__(self, stop_after: str | None = None, pruned_after: int | None = None) -> None:
        self.started: list[str] = []
        self.epochs: list[tuple[str, int]] = []
        self.ended: dict[str, bool] = {}
        self.words: dict[str, str] = {}
        self.losses: dict[str, Any] = {}
        self._stop_after, self._pruned_after = stop_after, pruned_after
        self._lock = threading.Lock()  # a real listener holds threads; none of it may be pickled

    def on_start(self, train_id: str) -> None:
        self.started.append(train_id)

    def on_epoch(self, train_id: str, epoch: dict[str, Any]) -> Decision:
        self.epochs.append((train_id, epoch["epoch"]))
        return Decision.STOP if epoch["epoch"] == self._pruned_after else Decision.CONTINUE

    def on_end(self, train_id: str, outcome: TrialOutcome | None, loss: Any) -> bool:
        self.ended[train_id] = loss is not None
        self.words[train_id] = outcome
        self.losses[train_id] = loss
        return train_id == self._stop_after


class Jobs:
    """A source that has its jobs from the beginning."""

    def __init__(self, texts: list[str]) -> None:
        self._left = [(f"job{i}", text) for i, text in enumerate(texts)]

    @property
    def is_exhausted(self) -> bool:
        return not self._left

    def next_job(self) -> ray_tune.Job | None:
        return self._left.pop(0) if self._left else None


class LateJobs(Jobs):
    """A source that has its next job only when the listener has seen another one end."""

    def __init__(self, texts: list[str], notes: Notes) -> None:
        super().__init__(texts)
        self._notes, self._n_handed_out = notes, 0

    def next_job(self) -> ray_tune.Job | None:
        if self._n_handed_out > len(self._notes.ended):
            return None
        self._n_handed_out += 1
        return super().next_job()


def placement(**changes: Any) -> Placement:
    values = {
        "cpu": 1,
        "gpu": 0.0,
        "memory_bytes": 0,
        "max_concurrent": 2,
        "shares_processes": True,
        "hang_s": 600.0,
    }
    return Placement(**{**values, **changes})


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray_cluster.start(None)
    yield
    ray_cluster.stop()


def work(text: str, limit: int, report: Callable[[dict[str, Any]], None]) -> TrialOutcome:
    """`text` is a small program: `epochs`, `die FILE` (once), `slow`."""
    words = text.split()
    if words[0] == "die" and not Path(words[1]).exists():
        Path(words[1]).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if words[0] == "look":
        devices = os.environ.get("CUDA_VISIBLE_DEVICES")
        Path(words[1]).write_text(repr(devices))
    for epoch in range(2):
        report({"epoch": epoch})
        if words[0] == "slow":
            time.sleep(20)
    return TrialOutcome.COMPLETED


def run(jobs: list[str], notes: Notes, tmp_path: Path, **changes: Any) -> ray_tune.Interrupt:
    return driver.run_jobs(Jobs(jobs), placement(**changes), notes, tmp_path, work)


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


def test_a_source_may_have_no_job_just_now(tmp_path: Path) -> None:
    notes = Notes()
    driver.run_jobs(LateJobs(["epochs"] * 3, notes), placement(), notes, tmp_path, work)
    assert list(notes.ended) == notes.started == ["job0", "job1", "job2"]


def test_the_listener_can_stop_one_training(tmp_path: Path) -> None:
    notes = Notes(pruned_after=0)
    run(["epochs", "slow"], notes, tmp_path)
    assert notes.words == {"job0": TrialOutcome.PRUNED, "job1": TrialOutcome.PRUNED}
    assert sorted(notes.epochs) == [("job0", 0), ("job1", 0)]


def test_more_jobs_than_a_tuner_holds_are_run_by_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_tune, "_MAX_TRIALS", 2)
    notes = Notes()
    run(["epochs"] * 5, notes, tmp_path)
    assert sorted(notes.ended) == [f"job{i}" for i in range(5)]


def test_what_no_machine_can_give_is_refused_at_once_with_the_numbers() -> None:
    with pytest.raises(ResourceError, match=r"asks for 4096 CPU.*there is .* CPU"):
        ray_cluster.check_fits(placement(cpu=4096))


def test_every_failure_follows_its_rule_and_harms_no_other_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "freed"
    sweep = Sweep(
        root=tmp_path,
        scripts={
            0: ["bug"],
            1: ["cuda_oom", 2],  # fits when a batch is split in two
            2: ["cuda_oom", 99],  # never fits
            3: ["nan"],
            4: ["killed", 1],
            6: ["disk_full", str(disk)],
        },
        seeds=8,
        placement=placement(),
    )
    free_the_disk_once_paused(disk, monkeypatch)
    assert sweep.run() == 0
    assert [sweep.reason(seed) for seed in range(8)] == [
        "bug",
        None,
        "cuda_oom",
        "non_finite",
        None,
        None,
        None,
        None,
    ]
    for seed in (1, 4, 5, 6, 7):
        assert sweep.numbers(seed) == expected(seed)
        assert sweep.times_ended(seed) == 1
    # The remedy is in the training's own record, in what MLflow gets, and was said aloud.
    said = "gradients accumulated over 2 parts of a batch of 4"
    assert said in sweep.folder(1).fit()["remedy"]
    assert [r.tags["remedy"] for r in sweep.tracker.records if r.tags["seed"] == "1"] == [
        "after cuda_oom: gradients accumulated over 2 parts of a batch of 4"
    ]
    assert any(said in note for _, state, note in sweep.told.ends if state == "again")
    assert not list(tmp_path.rglob("*.json.[0-9]*"))
    attempts = (sweep.folder(0).log).read_text().count("--- ")
    assert attempts == 1  # a bug is not run again


def free_the_disk_once_paused(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The workspace's disk is full until the sweep has paused and somebody frees it."""
    looks: list[Path] = []

    def usage(path: Path) -> SimpleNamespace:
        looks.append(path)
        if len(looks) > 3:
            disk.touch()
        return SimpleNamespace(total=10**9, free=10**9 if disk.exists() else 0)

    monkeypatch.setattr("shutil.disk_usage", usage)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("mounting a small file system is not permitted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.slow
def test_a_disk_that_is_really_full_pauses_the_sweep_until_there_is_room(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    sweep = Sweep(
        root=small_disk, scripts={0: ["fill", str(ballast)]}, seeds=3, placement=placement()
    )

    def free_once_paused() -> None:
        while not any("disk full" in line for line in sweep.told.lines):
            time.sleep(0.05)
        ballast.unlink()

    threading.Thread(target=free_once_paused, daemon=True).start()
    assert sweep.run() == 0
    assert any("resumes by itself" in line for line in sweep.told.lines)
    assert [sweep.numbers(seed) for seed in range(3)] == [expected(seed) for seed in range(3)]
    assert [sweep.times_ended(seed) for seed in range(3)] == [1, 1, 1]


def test_a_training_that_outgrows_its_memory_gets_more_of_the_machine(tmp_path: Path) -> None:
    limit = 900_000_000
    sweep = Sweep(
        root=tmp_path,
        scripts={0: ["hog", limit]},
        seeds=2,
        placement=placement(memory_bytes=limit),
    )
    assert sweep.run() == 0
    assert [sweep.numbers(seed) for seed in range(2)] == [expected(0), expected(1)]
    remedy = sweep.folder(0).fit()["remedy"]
    assert remedy == "after host_oom: trainings side by side divided by 2"
    assert sweep.folder(1).fit()["remedy"] is None


def test_what_an_earlier_attempt_of_the_sweep_still_holds_is_trained_when_it_lets_go(
    tmp_path: Path,
) -> None:
    """As on a lost machine, whose worker lives on when Tune begins its training elsewhere."""
    sweep = Sweep(root=tmp_path, scripts={}, seeds=3, placement=placement())
    let_go = hold(sweep.folder(0), process_identity())

    def let_go_when_it_is_to_come_again() -> None:
        while not any(state == "again" for _, state, _ in sweep.told.ends):
            time.sleep(0.05)
        let_go()

    threading.Thread(target=let_go_when_it_is_to_come_again, daemon=True).start()
    assert sweep.run() == 0
    assert [sweep.numbers(seed) for seed in range(3)] == [expected(seed) for seed in range(3)]
    assert [sweep.times_ended(seed) for seed in range(3)] == [1, 1, 1]
    said = {note for _, state, note in sweep.told.ends if state != "done"}
    assert said == {"an earlier process has not let go of it yet"}


def test_what_another_sweep_that_lives_is_at_work_on_is_left_to_it(tmp_path: Path) -> None:
    sweep = Sweep(root=tmp_path, scripts={}, seeds=2, placement=placement())
    with subprocess.Popen(["sleep", "60"]) as other:
        let_go = hold(sweep.folder(0), mark_of(other.pid))
        assert sweep.run() == 0
        let_go()
        other.kill()
    assert [sweep.numbers(seed) for seed in range(2)] == [None, expected(1)]
    assert [state for _, state, _ in sweep.told.ends].count("taken") == 1


@pytest.mark.slow
def test_a_training_that_gets_on_between_losses_goes_on_and_one_that_does_not_has_failed(
    tmp_path: Path,
) -> None:
    sweep = Sweep(
        root=tmp_path, scripts={0: ["killed", 4], 1: ["killed", 99]}, seeds=2, placement=placement()
    )
    assert sweep.run() == 0
    assert sweep.numbers(0) == expected(0)
    assert sweep.reason(1) == "lost_node"
    assert (
        sweep.folder(1).path / "killed"
    ).stat().st_size == 6  # three times in each of two rounds


def test_one_bug_in_the_first_three_trainings_stops_the_sweep(tmp_path: Path) -> None:
    scripts = {seed: ["bug"] for seed in range(3)} | {seed: ["slow", 5] for seed in range(3, 9)}
    sweep = Sweep(root=tmp_path, scripts=scripts, seeds=9, placement=placement(max_concurrent=1))
    assert sweep.run() == 0
    assert sweep.listener.is_hopeless
    assert [sweep.reason(seed) for seed in range(3)] == ["bug"] * 3
    assert not any(sweep.folder(seed).fit() for seed in range(3, 9))
    assert any("same error" in line for line in sweep.told.lines)


def test_a_training_on_cores_sees_no_gpu(tmp_path: Path) -> None:
    notes = Notes()
    run([f"look {tmp_path / 'seen'}"], notes, tmp_path)
    assert (tmp_path / "seen").read_text() == "''"
