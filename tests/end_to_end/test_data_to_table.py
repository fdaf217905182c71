"""From volumes to a table through the real command line: real prostates, and the CT/MR phantom."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SPACES = Path(__file__).resolve().parents[2] / "search_spaces"

pytestmark = pytest.mark.slow


def sweeper(workspace: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sweeper.cli", "--workspace", str(workspace), *words],
        capture_output=True,
        text=True,
        timeout=400,
        cwd=workspace.parent,
        check=False,
    )


def cells_of(text: str) -> list[float]:
    """Every number of the table's rows."""
    rows = [line for line in text.splitlines() if line.startswith("│")]
    return [float(number) for row in rows for number in re.findall(r"\d+\.\d\d", row)]


def test_real_volumes_are_checked_imported_shown_and_trained_on(tmp_path, shared):
    workspace, real = tmp_path / "ws", str(shared / "realdata" / "promise12")
    checked = sweeper(workspace, "data", "check", real)
    assert checked.returncode == 0, checked.stderr
    assert "layout saml, 10 cases, 0 errors, 10 warnings" in checked.stdout
    imported = sweeper(workspace, "data", "import", real, "--name", "real")
    assert imported.returncode == 0, imported.stderr
    assert "real: 10 cases, 177 slices, 2 domains" in imported.stdout
    shown = sweeper(workspace, "data", "show", "real")
    assert (workspace / "reports" / "real-contact-sheet.png").stat().st_size > 50_000, shown.stderr

    smoke = ("run", str(SPACES / "smoke.yaml"), "--dataset", "real", "--encoder", "vit_tiny")
    refused = sweeper(workspace, *smoke)
    assert refused.returncode == 2
    assert refused.stderr == (
        f"sweeper: {SPACES / 'smoke.yaml'}:6: trial.source: source is 'A-ISBI',"
        " dataset 'real' has D-UCL, E-BIDMC; choose one, such as"
        " --set source=D-UCL, or each in turn: --set 'source={grid: sites}'\n"
    )
    assert not (workspace / "embeddings").exists()  # refused before anything is embedded

    ran = sweeper(workspace, *smoke, "--set", "source={grid: sites}")
    assert ran.returncode == 0, ran.stderr
    assert "trained on each of the 2 domains of dataset real: D-UCL, E-BIDMC" in ran.stdout
    assert "n = 10 cases" in ran.stdout
    assert len(cells_of(ran.stdout)) == 3
    assert "SYNTHETIC" not in ran.stdout


def test_the_abdominal_space_runs_on_its_phantom_for_every_organ_both_ways(tmp_path):
    few = ("--set", "training.epochs=2", "--set", "seeds=[0]")
    ran = sweeper(tmp_path / "ws", "run", str(SPACES / "abdominal.yaml"), *few)
    assert ran.returncode == 0, ran.stderr
    assert "8 trainings, 8 evaluations; 0 done, 8 to run" in ran.stdout
    for organ in ("liver", "right_kidney", "left_kidney", "spleen"):
        assert f"desam full {organ} CT seed 0: done" in ran.stdout
        assert f"desam full {organ} MR seed 0: done" in ran.stdout
    assert len(cells_of(ran.stdout)) == 9
