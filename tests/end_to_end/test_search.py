"""Searches through the real command line, killed on their way; minutes, so only when asked for."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import optuna
import pytest
import torch

if TYPE_CHECKING:
    from pathlib import Path

    from optuna.trial import FrozenTrial

# each case is five commands that start Ray, so the limit of other tests is too short on two cores
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

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
    "median": "{algorithm: random, scheduler: median, samples: 5, grace_epochs: 2}",
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
        if epochs_reported(workspace) >= after:
            break
        time.sleep(0.05)
    assert driver.poll() is None, "it ended before it could be killed"
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()


def trials(workspace: Path) -> list[FrozenTrial]:
    """Of the only study in the workspace; none before it is there."""
    database = workspace / "sweeps" / "s" / "optuna.db"
    if not database.is_file():
        return []
    storage = f"sqlite:///{database}"
    names = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=names[0], storage=storage).trials if names else []


def epochs_reported(workspace: Path) -> int:
    try:
        return sum(len(trial.intermediate_values) for trial in trials(workspace))
    except Exception:  # the driver is making the tables
        return 0


@pytest.mark.parametrize("name", list(SEARCHES))
def test_a_killed_search_resumes_and_its_winner_can_be_trained_again(
    name: str, prepared: Path, tmp_path: Path
) -> None:
    workspace = tmp_path / "workspace"
    shutil.copytree(prepared, workspace)
    space = tmp_path / "s.yaml"
    space.write_text(SPACE.format(search=SEARCHES[name]))
    kill_in_the_middle(workspace, space, after=5)
    before = {trial.number: trial for trial in trials(workspace)}
    fits = {path: path.stat().st_mtime_ns for path in workspace.glob("trainings/*/fit.json")}
    done = sweeper(workspace, "run", str(space))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Overall" in done.stdout
    after = trials(workspace)
    assert len(after) == int(SEARCHES[name].split("samples: ")[1].split(",")[0].rstrip("}"))
    assert all(trial.state.is_finished() for trial in after)
    for number, trial in before.items():  # under their numbers, with the values that they had
        assert after[number].params == trial.params
        assert after[number].intermediate_values.items() >= trial.intermediate_values.items()
    assert all(path.stat().st_mtime_ns == time_ for path, time_ in fits.items())
    for trial in after:
        steps = list(trial.intermediate_values)
        assert steps == list(range(1, trial.user_attrs["epochs"] + 1))
        assert (trial.state.name == "COMPLETE") == (len(steps) == 6)
    again = sweeper(workspace, "run", str(space))
    assert "0 to run" in again.stdout
    best = max((t for t in after if t.state.name == "COMPLETE"), key=lambda trial: trial.value)
    same_from_the_start(best.user_attrs["train_id"], workspace, prepared, tmp_path)


def same_from_the_start(train_id: str, workspace: Path, prepared: Path, tmp_path: Path) -> None:
    """The winner's config, written as a space without a search, gives the same weights."""
    other = tmp_path / "other"
    shutil.copytree(prepared, other)
    config = json.loads((workspace / "trainings" / train_id / "config.json").read_text())["config"]
    space = tmp_path / "winner.yaml"
    space.write_text(json.dumps({"name": "w", "trial": config}))
    done = sweeper(other, "run", str(space), "--set", "evaluation.grid_size=3")
    assert done.returncode == 0, done.stdout + done.stderr
    one, two = (
        torch.load(root / "trainings" / train_id / "best.pt", weights_only=True)["weights"]
        for root in (workspace, other)
    )
    assert one.keys() == two.keys()
    assert all(torch.equal(one[key], two[key]) for key in one)
