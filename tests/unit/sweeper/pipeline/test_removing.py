"""A removed sweep is gone from disk and MLflow; what another sweep needs stays."""

from __future__ import annotations

import time

import optuna
import pytest
import tiny_workspace as tiny
import torch

import sweeper
from sweeper.cli import main
from sweeper.errors import ConfigError, SweeperError
from sweeper.pipeline.removing import find_cells, find_sweep, remove
from sweeper.pipeline.searching.records import StudyDatabase
from sweeper.search.study import TRAIN_ID
from sweeper.store.ledger import Ledger
from sweeper.store.workspace import Workspace
from sweeper.tracking.mlflow_tracker import MlflowTracker

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow's libraries

SPACE = """
name: {name}
trial:
  source: A-ISBI
  method: {{name: unet, network: {{width: 4, stages: 3}}}}
  training: {{epochs: 1, batch_size: 4}}
  evaluation: {{iou_threshold: -100.0, min_region_px: 100}}
seeds: {seeds}
report: {{rows: method, columns: source}}
"""


@pytest.fixture
def workspace(tmp_path):
    """Two sweeps that share the training with seed 1."""
    before = torch.get_num_threads()
    trials = [{"method": tiny.UNET, "seed": seed} for seed in (0, 1)]
    workspace = tiny.make_workspace(tmp_path, trials, epochs=1)
    for name, seeds in (("first", [0, 1]), ("second", [1])):
        space = tmp_path / f"{name}.yaml"
        space.write_text(SPACE.format(name=name, seeds=seeds))
        sweeper.run(space, dataset="tiny", workspace=workspace.root)
    yield workspace
    torch.set_num_threads(before)


def seeds(workspace):
    return sorted(f.config()["config"]["seed"] for f in Ledger(workspace.trainings))


def test_a_sweep_is_removed_without_what_another_sweep_plans(workspace):
    removal = find_sweep(workspace, "first")
    assert [f.config()["config"]["seed"] for f in removal.trainings] == [0]
    assert removal.shared == 1
    assert removal.n_bytes > 10_000
    before = sweeper.open_sweep("second", workspace=workspace.root).table().render("csv")
    remove(workspace, removal)
    assert seeds(workspace) == [1]
    assert [sweep.name for sweep in MlflowTracker(workspace).sweeps()] == ["second@tiny"]
    assert sweeper.open_sweep("second", workspace=workspace.root).table().render("csv") == before
    with pytest.raises(SweeperError):
        find_sweep(workspace, "first")


def test_a_removed_cell_is_missing_in_its_table(workspace):
    sweep = sweeper.open_sweep("first", workspace=workspace.root)
    assert sweep.table().values[0][0] is not None
    remove(workspace, find_cells(workspace, ["method=unet", "seed=0"]))
    assert seeds(workspace) == [1]
    assert sweep.table().values[0][0] is None  # a seed is missing


def test_a_running_training_is_not_removed(workspace):
    folder = next(iter(Ledger(workspace.trainings)))
    folder.write("lease", {"owner": "me", "worker": "other-host 1 2", "time": time.time()})
    with pytest.raises(ConfigError, match="stop that run first"):
        find_cells(workspace, [folder.train_id])


def test_the_command_lists_before_it_asks(workspace, capsys, monkeypatch):
    words = ["--workspace", str(workspace.root), "remove"]
    monkeypatch.setattr("click.confirm", lambda _: False)
    with pytest.raises(SystemExit) as ended:
        main([*words, "first"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert "unet prostate A-ISBI seed 0" in text
    assert "kept: 1 training that another sweep plans too" in text
    assert "this frees" in text
    assert seeds(workspace) == [0, 1]
    with pytest.raises(SystemExit):
        main([*words, "--cell", "method=unet seed=0", "--yes"])
    assert seeds(workspace) == [1]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2


def search(workspace, space, studies):
    """Optuna's file of a space; study id -> train ids that it has tried."""
    place = workspace.sweeps / space
    place.mkdir(parents=True)
    for study_id, train_ids in studies.items():
        study = optuna.create_study(
            storage=f"sqlite:///{place}/optuna.db", study_name=f"{space}: unet, [{study_id}]"
        )
        for train_id in train_ids:
            attributes = {TRAIN_ID: train_id}
            study.add_trial(optuna.trial.create_trial(value=0.0, user_attrs=attributes))
            Ledger(workspace.trainings).folder(train_id).write("config", {"name": train_id})


def plan(space, winner, *study_ids):
    cell = {"train_id": winner, "eval_id": "e", "params": {}, "evaluation": {}}
    return {"cells": [cell], "searches": [{"study_id": i, "trainings": []} for i in study_ids]}


def test_a_search_goes_with_its_sweep_and_what_only_it_has_tried(tmp_path):
    workspace = Workspace.open(tmp_path / "ws")
    search(workspace, "tuned", {"a1": ["won", "lost", "both"], "b2": ["both", "other"]})
    search(workspace, "more", {"c3": ["shared"]})
    search(workspace, "alone", {"d4": ["shared", "mine"]})
    tracker = MlflowTracker(workspace)
    tracker.prepare("tuned@one", plan("tuned", "won", "a1"))
    tracker.prepare("tuned@two", plan("tuned", "other", "b2"))
    tracker.prepare("alone@one", plan("alone", "mine", "d4"))
    # a study of the same space on other data stays, with what it has tried
    removal = find_sweep(workspace, "tuned@one")
    assert [folder.train_id for folder in removal.trainings] == ["lost", "won"]
    assert (removal.studies, removal.shared) == (("a1",), 1)
    remove(workspace, removal)
    database = StudyDatabase(workspace.sweeps / "tuned" / "optuna.db")
    assert database.tried() == {"b2": {"both", "other"}}
    # the last study of a space takes its folder with it; other spaces are left alone
    remove(workspace, find_sweep(workspace, "tuned@two"))
    remove(workspace, find_sweep(workspace, "alone@one"))
    assert [path.name for path in workspace.sweeps.iterdir()] == ["more"]
    assert sorted(path.name for path in workspace.trainings.iterdir()) == ["shared"]
