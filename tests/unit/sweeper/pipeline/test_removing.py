"""A removed sweep is gone from disk and MLflow; what another sweep needs stays."""

from __future__ import annotations

import time

import pytest
import tiny_workspace as tiny
import torch

import sweeper
from sweeper.cli import main
from sweeper.errors import ConfigError, SweeperError
from sweeper.pipeline.removing import find_cells, find_sweep, remove
from sweeper.store.ledger import Ledger
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
