from __future__ import annotations

import math
import sqlite3
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from sweeper.errors import TrackingError
from sweeper.records import Failure, FailureReason, Row, TrainingRecord, TrialStatus
from sweeper.tracking.mlflow_tracker import MlflowTracker
from sweeper.tracking.run_metrics import MAX_POINTS, epoch_metrics

if TYPE_CHECKING:
    from pathlib import Path

# mlflow's own dependencies warn while they are imported and while tables are made
pytestmark = pytest.mark.filterwarnings("ignore")


@dataclass(frozen=True)
class Places:
    root: Path

    @property
    def mlflow_db(self) -> Path:
        return self.root / "mlflow.db"

    @property
    def mlflow_artifacts(self) -> Path:
        return self.root / "mlflow-artifacts"


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Places:
    return Places(tmp_path_factory.mktemp("work space"))


@pytest.fixture(scope="module")
def tracker(places: Places) -> MlflowTracker:
    return MlflowTracker(places)


def row(eval_id: str, case: str, metric: str, value: float) -> Row:
    return Row(
        train_id="t1",
        eval_id=eval_id,
        method="desam",
        seed=0,
        source="A-ISBI",
        target="B-ISBI_1.5",
        case=case,
        structure="prostate",
        protocol="strict",
        metric=metric,
        value=value,
        n_slices=9,
        status="undefined" if math.isnan(value) else "ok",
    )


RECORD = TrainingRecord(
    train_id="t1",
    sweep="ablation",
    name="desam full A-ISBI seed 0",
    status=TrialStatus.COMPLETED,
    params={"method.name": "desam", "source": "A-ISBI", "seed": "0"},
    tags={"synthetic": "true", "code_version": "c1"},
    epochs=({"train_loss": 1.0, "seconds": 2.0}, {"train_loss": 0.5, "seconds": 2.0}),
    summary={"selected_epoch": 1.0, "seconds": 4.0},
    evaluations={"e1": {"grid_size": "9"}},
    rows=(
        row("e1", "B01", "dice", 0.1 + 0.2),
        row("e1", "B01", "hd95_mm", 7.5),
        row("e1", "B01", "asd_mm", 2.5),
        row("e1", "B02", "dice", 0.0),
        row("e1", "B02", "hd95_mm", math.nan),
        row("e1", "B02", "asd_mm", math.nan),
    ),
)
PLAN = {
    "cells": [{"train_id": "t1", "eval_id": "e1", "params": {}, "evaluation": {}}],
    "report": {"rows": "ablation"},
    "dataset": {"name": "phantom", "n_cases": 27},
    "encoder": {"name": "vit_tiny"},
}


def test_what_was_logged_comes_back_with_its_plan(tracker: MlflowTracker, tmp_path: Path) -> None:
    picture = tmp_path / "some name.png"
    picture.write_bytes(b"png")
    tracker.prepare("ablation", PLAN)
    tracker.log_training(replace(RECORD, artifacts={"overlays/B.png": picture}))
    results = tracker.results()
    (run,) = results.runs
    assert results.sweeps[0].plan == PLAN
    assert (run.train_id, run.name, run.status) == ("t1", RECORD.name, TrialStatus.COMPLETED)
    assert dict(run.params) == RECORD.params
    assert run.evaluations == {"e1": {"grid_size": "9"}}
    assert [s.dice for s in run.scores] == [0.1 + 0.2, 0.0]
    assert run.scores[0].hd95_mm == 7.5
    assert math.isnan(run.scores[1].hd95_mm)
    assert run.summary["dice/strict/mean"] == pytest.approx(0.15)
    assert (run.artifacts / "overlays" / "B.png").read_bytes() == b"png"
    assert tracker.logged("ablation") == {"t1": {"e1"}}


def test_mlflow_itself_sees_a_child_run_below_the_sweeps_run(
    tracker: MlflowTracker, places: Places
) -> None:
    from mlflow import MlflowClient

    tracker.prepare("nested", PLAN)
    run_id = tracker.log_training(replace(RECORD, sweep="nested"))
    client = MlflowClient(tracking_uri=f"sqlite:///{places.mlflow_db}")
    run = client.get_run(run_id)
    parent = client.get_run(run.data.tags["mlflow.parentRunId"])
    assert parent.info.run_name == "nested"
    assert run.info.run_name == RECORD.name
    assert run.info.status == "FINISHED"
    assert [m.value for m in client.get_metric_history(run_id, "train_loss")] == [1.0, 0.5]
    (read,) = tracker.results(["nested"]).runs
    assert dict(read.summary) == run.data.metrics
    assert dict(read.params) == run.data.params


def test_a_training_logged_twice_is_one_run_and_may_gain_evaluations(
    tracker: MlflowTracker,
) -> None:
    tracker.prepare("twice", PLAN)
    record = replace(RECORD, sweep="twice")
    first = tracker.log_training(record)
    extended = replace(
        record,
        evaluations={**record.evaluations, "e2": {"grid_size": "25"}},
        rows=(*record.rows, row("e2", "B01", "dice", 0.9)),
    )
    assert tracker.log_training(extended) == first
    assert tracker.logged("twice") == {"t1": {"e1", "e2"}}
    (run,) = tracker.results(["twice"]).runs
    assert run.summary["dice/strict/mean grid_size 25"] == 0.9


def test_the_newest_attempt_of_a_failed_training_counts(tracker: MlflowTracker) -> None:
    tracker.prepare("attempts", PLAN)
    failure = Failure(
        reason=FailureReason.CUDA_OOM, message="out of memory", traceback_hash="x", log_path="/l"
    )
    failed = replace(RECORD, sweep="attempts", status=TrialStatus.FAILED, rows=(), failure=failure)
    first = tracker.log_training(replace(failed, evaluations={}))
    assert tracker.logged("attempts") == {}
    (run,) = tracker.results(["attempts"]).runs
    assert run.tags["failure.reason"] == "cuda_oom"
    second = tracker.log_training(replace(RECORD, sweep="attempts"))
    assert second != first
    (run,) = tracker.results(["attempts"]).runs
    assert (run.run_id, run.status, run.tags["attempt"]) == (second, TrialStatus.COMPLETED, "2")


def test_a_run_whose_driver_died_in_the_middle_is_logged_anew(
    tracker: MlflowTracker, places: Places
) -> None:
    tracker.prepare("halved", PLAN)
    run_id = tracker.log_training(replace(RECORD, sweep="halved"))
    with sqlite3.connect(places.mlflow_db) as connection:
        connection.execute("DELETE FROM tags WHERE run_uuid = ? AND key = 'status'", (run_id,))
    assert tracker.logged("halved") == {}
    assert tracker.log_training(replace(RECORD, sweep="halved")) == run_id
    assert tracker.logged("halved") == {"t1": {"e1"}}


def test_preparing_an_older_sweep_again_makes_it_the_latest(tracker: MlflowTracker) -> None:
    tracker.prepare("older", PLAN)
    tracker.prepare("newer", PLAN)
    assert tracker.results().sweeps[0].name == "newer"
    tracker.prepare("older", PLAN)
    assert tracker.results().sweeps[0].name == "older"


def test_an_unknown_sweep_is_named_with_those_there_are(tracker: MlflowTracker) -> None:
    tracker.prepare("known", PLAN)
    with pytest.raises(TrackingError, match=r"no sweep 'unknown'.*there are:.*known"):
        tracker.results(["unknown"])


def test_a_store_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database at all, but long enough to be read as one")
    tracker = MlflowTracker(Places(tmp_path))
    with pytest.raises(TrackingError, match=r"MLflow store .*mlflow.db cannot be"):
        tracker.prepare("any", PLAN)


def test_curves_of_long_trainings_are_thinned_and_keep_both_ends() -> None:
    metrics = epoch_metrics(tuple({"train_loss": float(i)} for i in range(1001)), 0)
    steps = [step for _, _, _, step in metrics]
    assert len(steps) <= MAX_POINTS + 1
    assert (steps[0], steps[-1]) == (0, 1000)
