from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from toy_plan import plan_of

from sweeper.cli.terminal.plan_text import comparison_lines
from sweeper.config.sweep import ResourcesConfig
from sweeper.pipeline.costs.accounting import Costs
from sweeper.pipeline.costs.estimate import Estimate, Pace, kind
from sweeper.pipeline.costs.estimate import estimate as cost
from sweeper.pipeline.costs.forecast import (
    START_SECONDS,
    Actual,
    Devices,
    Prediction,
    devices,
    predict,
    record_costs,
)
from sweeper.plan.states import cells_of
from sweeper.store.ledger import Ledger
from sweeper.store.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

ON = Devices(workers=2, threads=1, gpu=0.0)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path)


def estimate(seconds: float = 1000.0, unknown: int = 0) -> Estimate:
    return Estimate(
        training_seconds=seconds,
        peak_bytes=5e8,
        checkpoint_bytes=0,
        unknown=unknown,
        origins=("probe",),
    )


def came(seconds: float, trainings: int = 10) -> Actual:
    return Actual(
        trainings=trainings,
        training_seconds=seconds,
        wall_seconds=seconds / 2 + START_SECONDS,
        peak_bytes=4e8,
    )


def test_a_first_prediction_says_how_far_off_it_may_be(workspace: Workspace) -> None:
    found = predict(workspace, estimate(), 10, ON)
    assert found.wall_seconds == START_SECONDS + 500
    assert found.low_seconds < found.wall_seconds < found.high_seconds


def test_what_earlier_predictions_were_worth_corrects_the_next_one(workspace: Workspace) -> None:
    for _ in range(3):
        found = predict(workspace, estimate(), 10, ON)
        record_costs(workspace, found, came(1500.0))
    corrected = predict(workspace, estimate(), 10, ON)
    assert corrected.training_seconds == pytest.approx(1500.0)
    assert corrected.low_seconds == pytest.approx(corrected.high_seconds)
    record_costs(workspace, corrected, came(1800.0))
    wider = predict(workspace, estimate(), 10, ON)
    assert wider.high_seconds == pytest.approx(START_SECONDS + 900)
    assert wider.low_seconds == pytest.approx(START_SECONDS + 750)


@pytest.mark.parametrize(
    ("unknown", "trainings"), [(1, 10), (0, 9)], ids=["unknown kinds", "interrupted"]
)
def test_a_run_that_was_not_what_was_predicted_teaches_nothing(
    unknown: int, trainings: int, workspace: Workspace
) -> None:
    found = predict(workspace, estimate(unknown=unknown), 10, ON)
    record_costs(workspace, found, came(9000.0, trainings))
    assert predict(workspace, estimate(), 10, ON).training_seconds == 1000.0


def test_nothing_to_do_costs_nothing(workspace: Workspace) -> None:
    assert predict(workspace, estimate(0.0), 0, ON).wall_seconds == 0.0


def test_gpu_hours_count_the_share_of_a_gpu(workspace: Workspace) -> None:
    half = Devices(workers=2, threads=4, gpu=0.5)
    assert predict(workspace, estimate(7200.0), 10, half).gpu_hours == pytest.approx(1.0)


def test_trainings_side_by_side_follow_what_the_space_asks_for() -> None:
    assert devices(ResourcesConfig(max_concurrent=1)).workers == 1
    assert devices(ResourcesConfig(cpu=10_000)).workers == 1


def test_predicted_and_actual_stand_side_by_side(workspace: Workspace) -> None:
    found: Prediction = predict(workspace, estimate(), 10, ON)
    lines = list(comparison_lines(found, came(1100.0)))
    assert lines[0].split()[-2:] == ["predicted", "actual"]
    rows = {line[:17].strip(): line[17:].split() for line in lines[1:]}
    assert rows["training hours"] == ["0.278", "0.306"]
    assert rows["time"] == ["8:40", "9:30"]
    assert len({len(line) for line in lines}) == 1


def test_where_nothing_was_predicted_there_is_a_dash_and_no_zero() -> None:
    nothing = Prediction(
        trainings=1,
        unknown=1,
        training_seconds=0.0,
        wall_seconds=20.0,
        low_seconds=20.0,
        high_seconds=20.0,
        gpu_hours=0.0,
        peak_bytes=0.0,
        origins=(),
    )
    *rows, note = list(comparison_lines(nothing, came(1100.0)))[1:]
    predicted = {row[:17].strip(): row[17:].split()[0] for row in rows}
    assert predicted == {"time": "–", "training hours": "–", "peak memory": "–", "trainings": "1"}
    assert "there was no prediction for 1 training" in note


def test_an_interrupted_run_is_compared_with_the_prediction_of_what_it_did(
    workspace: Workspace,
) -> None:
    space = "name: t\nseeds: [0, 1, 2]\ntrial:\n  source: A\n  method: {name: desam}\n"
    plan, ledger = plan_of(space), Ledger(workspace.trainings)
    todo = cells_of(plan, ledger)
    one = Pace(
        slice_seconds=0.5, scored_slice_seconds=0.0, peak_bytes=1, parameters=1, origin="probe"
    )
    paces = {kind(todo[0].training): one}
    report = SimpleNamespace(
        paces=paces,
        devices=ON,
        prediction=predict(workspace, cost(todo, paces), 3, ON),
        continued_epochs={},
    )
    costs = Costs(
        workspace=workspace, report=report, searched_before=frozenset(), began=time.monotonic()
    )
    folder = ledger.folder(todo[0].training.train_id)
    folder.write("fit", {"epochs": [], "seconds": 7.0, "peak_memory_bytes": 2})
    for eval_id in todo[0].missing:
        folder.write(f"evaluations/{eval_id}/scores", {"seconds": 1.0, "scores": []})
    predicted, came_of_it = costs.end(todo, ())
    assert (predicted.trainings, came_of_it.trainings) == (1, 1)
    assert predicted.training_seconds == pytest.approx(report.prediction.training_seconds / 3)
    assert came_of_it.training_seconds == pytest.approx(8.0)
    assert predict(workspace, estimate(), 10, ON).training_seconds == 1000.0  # nothing was learnt
