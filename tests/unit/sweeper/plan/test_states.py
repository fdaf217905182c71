from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from toy_plan import FACTS

from sweeper.config.sweep import check_sweep
from sweeper.config.yaml_reader import parse_yaml
from sweeper.errors import StoreError
from sweeper.pipeline.costs.estimate import (
    Pace,
    estimate,
    kind,
    measured_paces,
    probed_paces,
    wall_seconds,
)
from sweeper.pipeline.display import Silent
from sweeper.plan.expand import Plan, Training, make_plan
from sweeper.plan.states import State, cells_of
from sweeper.records import FailureReason
from sweeper.store.json_file import read_json, write_json
from sweeper.store.ledger import Ledger, TrainingFolder

if TYPE_CHECKING:
    from pathlib import Path

SPACE = (
    "name: t\ntrial:\n  source: {grid: [A, B]}\n  method: {name: desam}\n"
    "  evaluation: {grid_size: {grid: [3, 9]}}\n"
)


@pytest.fixture
def plan() -> Plan:
    return make_plan("t", check_sweep(parse_yaml(SPACE)).trials, lambda _: FACTS)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


def begin(ledger: Ledger, training: Training, **identity: str) -> TrainingFolder:
    folder = ledger.folder(training.train_id)
    kept = {**training.identity, **identity}
    folder.write("config", {"identity": kept, "config": {}, "name": "x"})
    return folder


def finish(folder: TrainingFolder, training: Training, n_scored: int) -> None:
    values = {"seconds": 100.0, "peak_memory_bytes": 5, "trainable_parameters": 1}
    folder.write("fit", {**values, "epochs": [{}] * training.config.training.epochs})
    for evaluation in training.evaluations[:n_scored]:
        folder.write(
            f"evaluations/{evaluation.eval_id}/scores", {"scores": [], "seconds_per_slice": 0.5}
        )


def states(plan: Plan, ledger: Ledger) -> list[State]:
    return [cell.state for cell in cells_of(plan, ledger)]


def test_nothing_is_there_at_first(plan: Plan, ledger: Ledger) -> None:
    assert states(plan, ledger) == [State.MISSING, State.MISSING]


def test_a_training_is_done_when_it_is_trained_and_every_scoring_is_there(
    plan: Plan, ledger: Ledger
) -> None:
    first = plan.trainings[0]
    finish(begin(ledger, first), first, n_scored=1)
    cell = cells_of(plan, ledger)[0]
    assert (cell.state, cell.is_trained) == (State.MISSING, True)
    assert cell.missing == (first.evaluations[1].eval_id,)
    finish(ledger.folder(first.train_id), first, n_scored=2)
    assert states(plan, ledger)[0] is State.DONE


def test_an_interrupted_training_is_missing_and_a_running_one_is_running(
    plan: Plan, ledger: Ledger
) -> None:
    folder = begin(ledger, plan.trainings[0])
    assert states(plan, ledger)[0] is State.MISSING
    folder.renew_lease("host-1")
    assert cells_of(plan, ledger)[0].note == "run by host-1"
    folder.remove_records("lease")
    assert states(plan, ledger)[0] is State.MISSING


def test_a_worker_that_was_killed_here_is_lost_at_once_and_a_stopped_one_is_not(
    plan: Plan, ledger: Ledger
) -> None:
    folder = begin(ledger, plan.trainings[0])
    folder.renew_lease("driver")
    lease = json.loads((folder.path / "lease.json").read_text())
    folder.write("lease", {**lease, "time": lease["time"] - 3600})
    assert states(plan, ledger)[0] is State.RUNNING  # this very process: slow, not dead
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from sweeper.store.processes import process_identity; print(process_identity())",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    folder.write("lease", {**lease, "worker": done.stdout.strip()})
    assert states(plan, ledger)[0] is State.LOST


def test_a_file_may_be_written_by_several_threads_at_once(tmp_path: Path) -> None:
    """A training's main thread and its watchdog renew one lease: neither may lose its file."""
    folder = TrainingFolder(tmp_path / "t")
    with ThreadPoolExecutor(8) as pool:
        writes = [pool.submit(folder.renew_lease, "me") for _ in range(400)]
    assert [write.exception() for write in writes] == [None] * 400
    assert folder.lease_owner() == "me"
    assert [path.name for path in folder.path.iterdir()] == ["lease.json"]


def test_a_worker_elsewhere_is_lost_when_it_has_not_renewed_its_lease_for_a_minute(
    plan: Plan, ledger: Ledger
) -> None:
    folder = begin(ledger, plan.trainings[0])
    lease = {"owner": "d", "worker": "elsewhere/1/2/3", "time": time.time() - 50}
    folder.write("lease", lease)
    assert states(plan, ledger)[0] is State.RUNNING
    folder.write("lease", {**lease, "time": time.time() - 61})
    assert states(plan, ledger)[0] is State.LOST


def test_failed_and_pruned_say_so(plan: Plan, ledger: Ledger) -> None:
    one, other = (begin(ledger, training) for training in plan.trainings)
    one.fail(FailureReason.CUDA_OOM, "no memory")
    other.write("pruned", {"epoch": 7})
    found = cells_of(plan, ledger)
    assert [c.state for c in found] == [State.FAILED, State.PRUNED]
    assert [c.note for c in found] == ["cuda_oom: no memory", "at epoch 7"]


def test_a_finished_training_of_older_code_makes_its_successor_stale_and_says_why(
    plan: Plan, ledger: Ledger
) -> None:
    first = plan.trainings[0]
    folder = TrainingFolder(ledger.root / "0123456789ab")
    folder.write("config", {"identity": {**first.identity, "code": "old"}, "name": "x"})
    finish(folder, first, n_scored=2)
    cell = cells_of(plan, ledger)[0]
    assert cell.state is State.STALE
    assert cell.note.startswith("training code changed (old -> ")


def test_a_damaged_record_is_named(ledger: Ledger) -> None:
    folder = ledger.folder("abc")
    folder.path.mkdir(parents=True)
    (folder.path / "fit.json").write_text("{")
    with pytest.raises(StoreError, match=r"fit\.json: damaged"):
        folder.fit()


def test_no_reader_ever_sees_half_a_record(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"x": object()})
    assert read_json(tmp_path / "a.json") == {"x": 1}


def test_the_pace_of_a_kind_is_taken_from_finished_trainings(plan: Plan, ledger: Ledger) -> None:
    first, second = plan.trainings
    finish(begin(ledger, first), first, n_scored=2)
    paces = measured_paces(plan.trainings, ledger)
    assert paces[kind(first)] == Pace(
        slice_seconds=0.2,
        scored_slice_seconds=0.5,
        peak_bytes=5,
        parameters=1,
        origin="measured",
    )
    assert kind(first) == kind(second)
    missing = [c for c in cells_of(plan, ledger) if c.state is not State.DONE]
    found = estimate(missing, paces)
    # 50 epochs x 20 slices of B x 0.2 s, and two scorings of A's 10 slices at 0.5 s
    assert found.training_seconds == pytest.approx(50 * 20 * 0.2 + 2 * 10 * 0.5)
    assert (found.unknown, found.origins) == (0, ("measured",))


def test_the_wall_clock_is_never_below_one_training() -> None:
    assert wall_seconds(100.0, workers=2, trainings=10) == 50
    assert wall_seconds(100.0, workers=8, trainings=2) == 50
    assert wall_seconds(0.0, workers=2, trainings=0) == 0


def test_no_probe_is_begun_when_its_time_is_over(plan: Plan) -> None:
    # the plan's stores are nowhere: a probe that began would fail
    assert probed_paces(plan.trainings, Silent(), threads=1, budget_s=0.0) == {}
