"""Real trainings through the real command line, its driver killed: the same rows to the bit."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SPACE = """
name: killed
seeds: [0, 1, 2]
trial:
  source: A-ISBI
  method: {name: desam}
  training: {epochs: 40}
"""
ROUNDS = 3


def command(workspace: Path, space: Path) -> list[str]:
    module = [sys.executable, "-m", "sweeper.cli"]
    return [*module, "--workspace", str(workspace), "run", str(space)]


def scores(workspace: Path) -> dict[str, Any]:
    """Every score of every training, by train_id."""
    return {
        path.parents[2].name: json.loads(path.read_text())["scores"]
        for path in sorted(workspace.glob("trainings/*/evaluations/*/scores.json"))
    }


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_sweep_whose_driver_is_killed_ends_with_the_same_rows(tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    space.write_text(SPACE)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(command(whole, space), check=True, capture_output=True, timeout=600)
    rng = random.Random(0)
    for _ in range(ROUNDS):
        driver = subprocess.Popen(
            command(killed, space), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        n_logs = sum(p.read_text().count("--- ") for p in killed.glob("trainings/*/log.txt"))
        while driver.poll() is None:
            logs = [p.read_text().count("--- ") for p in killed.glob("trainings/*/log.txt")]
            if sum(logs) > n_logs:
                break
            time.sleep(0.2)
        time.sleep(rng.uniform(0.0, 15.0))
        driver.kill()
        driver.wait()
    subprocess.run(command(killed, space), check=True, capture_output=True, timeout=600)
    assert len(scores(whole)) == 3
    assert json.dumps(scores(killed)) == json.dumps(scores(whole))
