from __future__ import annotations

import contextlib
import math
import shutil
import sqlite3
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from sweeper.config.report import ReportSpec
from sweeper.errors import TrackingError
from sweeper.records import Failure, FailureReason, Row, TrainingRecord, TrialStatus
from sweeper.report.build import build_tables
from sweeper.report.query import make_query
from sweeper.tracking.mlflow_reader import MlflowReader
from sweeper.tracking.mlflow_tracker import MlflowTracker
from sweeper.tracking.run_metrics import DENSE_EPOCHS, epoch_metrics
from sweeper.tracking.tracker import TrainingStart, sweep_name

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
        patient=f"patient of {case}",
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
    assert [s.values["dice"] for s in run.scores] == [0.1 + 0.2, 0.0]
    assert run.scores[0].values["hd95_mm"] == 7.5
    assert math.isnan(run.scores[1].values["hd95_mm"])
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


def test_the_latest_attempt_of_a_failed_training_counts(tracker: MlflowTracker) -> None:
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


def test_a_run_whose_driver_died_in_the_middle_is_logged_again(
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


def test_an_unknown_sweep_is_an_error_that_lists_the_known_ones(tracker: MlflowTracker) -> None:
    tracker.prepare("known", PLAN)
    with pytest.raises(TrackingError, match=r"no sweep 'unknown'.*the sweeps are .*known"):
        tracker.results(["unknown"])


def test_a_store_that_cannot_be_written_is_a_one_line_error(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database at all, but long enough to be read as one")
    tracker = MlflowTracker(Places(tmp_path))
    with pytest.raises(TrackingError, match=r"MLflow store .*mlflow.db cannot be"):
        tracker.prepare("any", PLAN)


def test_curves_of_long_trainings_are_thinned_and_keep_both_ends() -> None:
    metrics = epoch_metrics({i: {"train_loss": float(i)} for i in range(2000)}, 0, last=1999)
    steps = [step for _, _, _, step in metrics]
    assert steps[: DENSE_EPOCHS + 1] == list(range(DENSE_EPOCHS + 1))
    assert len(steps) < 350
    assert (steps[0], steps[-1]) == (0, 1999)


START = TrainingStart(
    train_id="t1", sweep="live@d", name=RECORD.name, params=RECORD.params, tags={"seed": "0"}
)


def history(places: Places, run_id: str, key: str = "train_loss") -> list[tuple[int, float]]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{places.mlflow_db}")
    return [(m.step, m.value) for m in client.get_metric_history(run_id, key)]


def mlflow_run(places: Places, run_id: str):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{places.mlflow_db}").get_run(run_id)


def open_run(places: Places, sweep: str) -> str:
    ((_, run_id),) = MlflowReader(places.mlflow_db, places.mlflow_artifacts).unfinished(sweep)
    return run_id


def test_curves_grow_while_a_training_runs_without_repeated_points(
    tracker: MlflowTracker, places: Places
) -> None:
    tracker.prepare("live@d", PLAN)
    tracker.begin_training(START)
    run_id = open_run(places, "live@d")
    assert mlflow_run(places, run_id).info.status == "RUNNING"
    tracker.log_epochs("live@d", "t1", {0: RECORD.epochs[0]})
    assert history(places, run_id) == [(0, 1.0)]
    # a run that is still open is in no table, and counts as not logged
    assert tracker.results(["live"]).runs == ()
    assert tracker.logged("live@d") == {}
    assert tracker.log_training(replace(RECORD, sweep="live@d")) == run_id
    assert history(places, run_id) == [(0, 1.0), (1, 0.5)]
    assert tracker.log_training(replace(RECORD, sweep="live@d")) == run_id
    assert history(places, run_id) == [(0, 1.0), (1, 0.5)]
    assert mlflow_run(places, run_id).info.status == "FINISHED"


def test_a_killed_drivers_run_is_closed_and_resumes_in_the_same_curves(
    places: Places,
) -> None:
    start = replace(START, sweep="killed@d")
    first = MlflowTracker(places)
    first.prepare("killed@d", PLAN)
    first.begin_training(start)
    first.log_epochs("killed@d", "t1", {0: RECORD.epochs[0]})
    run_id = open_run(places, "killed@d")
    second = MlflowTracker(places)
    second.close_interrupted("killed@d", running={"t1"})
    assert mlflow_run(places, run_id).info.status == "RUNNING"
    second.close_interrupted("killed@d", running=set())
    assert mlflow_run(places, run_id).info.status == "KILLED"
    second.begin_training(start)
    second.log_epochs("killed@d", "t1", dict(enumerate(RECORD.epochs)))
    assert open_run(places, "killed@d") == run_id
    assert history(places, run_id) == [(0, 1.0), (1, 0.5)]


def test_a_missing_or_damaged_rows_file_gives_no_scores_and_is_logged_again(
    tracker: MlflowTracker, places: Places
) -> None:
    record = replace(RECORD, sweep="lost@d")
    tracker.prepare("lost@d", PLAN)
    tracker.log_training(record)
    (run,) = tracker.results(["lost"]).runs
    for harm in (lambda file: file.unlink(), lambda file: file.write_text("{half")):
        harm(run.artifacts / "rows.json")
        assert tracker.logged("lost@d") == {"t1": set()}
        query = make_query(tracker.results(["lost"]), ReportSpec(columns="source"))
        (table,) = build_tables(query)
        assert table.rows[0].cells[0].value is None
        assert any("without numbers in MLflow" in reason for reason in table.draft_reasons)
        tracker.log_training(record)
        assert tracker.logged("lost@d") == {"t1": {"e1"}}


def test_a_run_whose_database_was_changed_is_an_error_and_never_a_number(tmp_path: Path) -> None:
    places = Places(tmp_path)
    tracker = MlflowTracker(places)
    tracker.prepare("ablation", PLAN)
    run_id = tracker.log_training(RECORD)
    reader = MlflowReader(places.mlflow_db, places.mlflow_artifacts)
    assert reader.damaged_runs("ablation") == ()
    changes = [
        ("latest_metrics", "value", "4.0", "3.0", "seconds"),
        ("params", "value", "'desam'", "'medsam'", "method.name"),
        ("tags", "value", "'true'", "'false'", "synthetic"),
        ("tags", "key", "'code_version'", "'codeversion'", "code_version"),
    ]
    for table, column, old, new, key in changes:
        statement = f"UPDATE {table} SET {column} = {{}} WHERE key = '{{}}'"
        edit_database(places.mlflow_db, statement.format(new, key))
        assert reader.damaged_runs("ablation") == ((run_id, RECORD.name),), key
        with pytest.raises(TrackingError, match=r"is not as it was written: .* doctor --repair"):
            tracker.results()
        changed = new.strip("'") if column == "key" else key
        edit_database(places.mlflow_db, statement.format(old, changed))
        assert reader.damaged_runs("ablation") == ()
    insert = f"INSERT INTO tags (key, value, run_uuid) VALUES ('mine', 'x', '{run_id}')"
    edit_database(places.mlflow_db, insert)  # as a person does in MLflow's pages
    assert [run.tags["mine"] for run in tracker.results().runs] == ["x"]
    rows = next(places.mlflow_artifacts.rglob("rows.json"))
    rows.write_text(rows.read_text().replace("7.5", "7.6"))
    assert tracker.logged("ablation") == {"t1": set()}


def edit_database(database: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        assert connection.execute(statement).rowcount == 1
        connection.commit()


def test_a_moved_workspace_keeps_its_artifacts_and_a_copy_leaves_the_first_alone(
    tmp_path: Path,
) -> None:
    old = Places(tmp_path / "first place")
    old.root.mkdir()
    tracker = MlflowTracker(old)
    tracker.prepare("moved@d", PLAN)
    run_id = tracker.log_training(replace(RECORD, sweep="moved@d"))
    new = Places(tmp_path / "second")
    shutil.copytree(old.root, new.root)
    before = {path: path.stat().st_mtime_ns for path in old.root.rglob("*") if path.is_file()}
    # MLflow caches by run id in a process; a workspace is moved between two
    from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

    _artifact_repos_cache.clear()
    moved = MlflowTracker(new)
    results = moved.results()
    assert results.sweeps[0].plan == PLAN
    assert [s.values["dice"] for s in results.runs[0].scores] == [0.1 + 0.2, 0.0]
    assert results.runs[0].artifacts.is_relative_to(new.root)
    # and what is written from now on lies in the new place, also for MLflow itself
    picture = tmp_path / "p.png"
    picture.write_bytes(b"png")
    moved.attach(results.sweeps[0], {"report/p.png": picture})
    assert (moved.results().sweeps[0].artifacts / "report" / "p.png").is_file()
    uri = mlflow_run(new, run_id).info.artifact_uri
    assert uri.startswith(new.root.as_uri())
    assert before == {p: p.stat().st_mtime_ns for p in old.root.rglob("*") if p.is_file()}


def test_the_parent_run_has_the_overall_values_and_lasts_as_long_as_its_trainings(
    places: Places, tracker: MlflowTracker
) -> None:
    tracker.prepare("whole@d", PLAN)
    child = mlflow_run(places, tracker.log_training(replace(RECORD, sweep="whole@d")))
    (sweep,) = tracker.results().sweeps
    tracker.attach(sweep, {}, overall={"overall dice/strict/desam (pool 4)": 71.5})
    parent = mlflow_run(places, sweep.run_id)
    assert parent.data.metrics == {"overall dice/strict/desam _pool 4_": 71.5}
    assert parent.info.end_time == child.info.end_time


def test_one_space_on_two_datasets_is_two_sweeps_in_one_experiment(
    tracker: MlflowTracker,
) -> None:
    phantom = sweep_name("shared", ["phantom"], ["vit_tiny"])
    real = sweep_name("shared", ["prostate", "prostate"], ["vit_h"])
    assert (phantom, real) == ("shared@phantom-vit_tiny", "shared@prostate-vit_h")
    tracker.prepare(phantom, PLAN)
    tracker.prepare(real, {**PLAN, "dataset": {"name": "prostate"}})
    newest = tracker.results(["shared"])
    assert (newest.sweeps[0].name, newest.others) == (real, (phantom,))
    assert newest.sweeps[0].plan["dataset"] == {"name": "prostate"}
    first = tracker.results([phantom])
    assert first.sweeps[0].plan == PLAN
    assert first.sweeps[0].experiment_id == newest.sweeps[0].experiment_id
    # image methods have the same trainings under every encoder, and yet one run in each sweep
    runs = {tracker.log_training(replace(RECORD, sweep=name)) for name in (phantom, real)}
    assert len(runs) == 2


def test_a_driver_killed_while_it_creates_the_store_leaves_no_incomplete_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    made = SqlAlchemyStore.__init__

    def killed(self: SqlAlchemyStore, uri: str, *rest: str) -> None:
        made(self, uri, *rest)
        self.engine.dispose()
        raise OSError("killed")

    places = Places(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(SqlAlchemyStore, "__init__", killed)
        with pytest.raises(TrackingError):
            MlflowTracker(places).prepare("t", {"cells": []})
    assert not places.mlflow_db.exists()
    tracker = MlflowTracker(places)
    tracker.prepare("t", {"cells": []})
    assert [sweep.name for sweep in tracker.results(["t"]).sweeps] == ["t"]
    assert not list(tmp_path.glob(".mlflow.db*"))
