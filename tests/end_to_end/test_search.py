"""Searches through the real command line, killed on their way; minutes, so only when asked for."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
import torch

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

SPACE = """
name: s
trial:
  source: A-ISBI
  method: {{name: desam, loss_weights: {{iou: {{loguniform: [1, 30]}}}}}}
  training:
    epochs: 6
    lr: {{loguniform: [1.0e-4, 5.0e-3]}}
    batch_size: {{choice: [4, 8]}}
search: {search}
seeds: [0, 1]
report: {{rows: method, columns: source}}
"""

SEARCHES = {
    "pbt": "{algorithm: random, scheduler: pbt, samples: 4, interval: 2}",
    "hyperband": "{algorithm: optuna, scheduler: hyperband, samples: 4, grace_epochs: 2}",
    "asha": "{algorithm: optuna, scheduler: asha, samples: 4, grace_epochs: 2, reduction: 2}",
}


def command(workspace: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "sweeper.cli", "--workspace", str(workspace), *words]


def sweeper(workspace: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(workspace, *words),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
        cwd=workspace.parent,
    )


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the phantom and its embeddings, to be copied."""
    root = tmp_path_factory.mktemp("prepared") / "workspace"
    assert sweeper(root, "embed", "phantom").returncode == 0
    return root


def kill_in_the_middle(workspace: Path, space: Path, after: int) -> None:
    """`kill -9` of the driver once so many epochs are trained; workers die with their Ray."""
    driver = subprocess.Popen(
        command(workspace, "run", str(space)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd=workspace.parent,
    )
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and driver.poll() is None:
        if len(epochs_trained(workspace)) >= after:
            break
        time.sleep(0.05)
    assert driver.poll() is None, "it ended before it could be killed"
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()


def epochs_trained(workspace: Path) -> list[str]:
    files = workspace.glob("trainings/*/epochs.jsonl")
    return [line for file in files for line in file.read_text().splitlines()]


@pytest.mark.parametrize("name", list(SEARCHES))
def test_a_killed_search_goes_on_and_its_winner_can_be_trained_again(
    name: str, prepared: Path, tmp_path: Path
) -> None:
    workspace = tmp_path / "workspace"
    shutil.copytree(prepared, workspace)
    space = tmp_path / "s.yaml"
    space.write_text(SPACE.format(search=SEARCHES[name]))
    kill_in_the_middle(workspace, space, after=5)
    before = {p.parent.name for p in workspace.glob("trainings/*/fit.json")}
    done = sweeper(workspace, "run", str(space))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Overall" in done.stdout
    record = the_record(workspace)
    assert record["is_finished"]
    assert before <= {one["train_id"] for one in record["tried"]}
    for one in record["tried"]:
        once_each(workspace / "trainings" / one["train_id"], one)
    again = sweeper(workspace, "run", str(space))
    assert "0 to run" in again.stdout
    same_from_the_start(record["winner"], workspace, prepared, tmp_path)


def the_record(workspace: Path) -> dict[str, Any]:
    (path,) = workspace.glob("sweeps/s/searches/*.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def once_each(folder: Path, one: dict[str, Any]) -> None:
    """Every epoch of a training stands once in its record, in order."""
    lines = (folder / "epochs.jsonl").read_text().splitlines()
    epochs = [json.loads(line)["epoch"] for line in lines]
    assert epochs == list(range(one["first_epoch"], one["first_epoch"] + len(epochs)))
    if one["state"] == "completed":
        assert len(json.loads((folder / "fit.json").read_text())["epochs"]) == 6


def same_from_the_start(
    won: dict[str, Any], workspace: Path, prepared: Path, tmp_path: Path
) -> None:
    """The winner's config, written as a space without a search, gives the same weights."""
    other = tmp_path / "other"
    shutil.copytree(prepared, other)
    space = tmp_path / "winner.yaml"
    space.write_text(json.dumps({"name": "w", "trial": won["config"]}))
    done = sweeper(other, "run", str(space), "--set", "evaluation.grid_size=3")
    assert done.returncode == 0, done.stdout + done.stderr
    one, two = (
        torch.load(root / "trainings" / won["train_id"] / "best.pt", weights_only=True)["weights"]
        for root in (workspace, other)
    )
    assert one.keys() == two.keys()
    assert all(torch.equal(one[key], two[key]) for key in one)
