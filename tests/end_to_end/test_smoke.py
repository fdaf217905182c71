"""`smoke.yaml` through the real command line: real NIfTI, Zarr, Ray and MLflow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweeper.cli import main

ROOT = Path(__file__).resolve().parents[2]
SPACES = ROOT / "search_spaces"


def sweeper(workspace: Path, *words: str, timeout: int = 240) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sweeper.cli", "--workspace", str(workspace), *words],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=workspace.parent,  # nothing may depend on the folder one stands in
        check=False,
    )


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("e2e") / "workspace"


@pytest.fixture(scope="module")
def first(workspace: Path) -> subprocess.CompletedProcess[str]:
    return sweeper(workspace, "run", str(SPACES / "smoke.yaml"))


def test_the_first_run_makes_data_trains_and_prints_a_marked_table(
    first: subprocess.CompletedProcess[str], workspace: Path
) -> None:
    assert first.returncode == 0, first.stderr
    assert "SYNTHETIC" in first.stdout
    assert "--dataset NAME_OR_PATH" in first.stdout
    assert "Overall" in first.stdout
    assert first.stdout.count("\n") < 40  # the console is ours: no line of Ray's or MLflow's
    assert first.stderr == ""
    folder = next((workspace / "trainings").iterdir())
    assert (folder / "selection.json").is_file()
    fit = json.loads((folder / "fit.json").read_text())
    assert len(fit["epochs"]) == 2
    assert (workspace / "mlflow.db").is_file()


def test_the_same_command_again_runs_nothing_and_prints_the_same_table(
    first: subprocess.CompletedProcess[str], workspace: Path
) -> None:
    nobody = "http://127.0.0.1:9/"  # a webhook that is dead costs one line
    again = sweeper(workspace, "run", str(SPACES / "smoke.yaml"), "--notify", nobody)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("--notify: 127.0.0.1 does not take the message") == 1
    assert "1 done, 0 to run" in again.stdout
    assert table_of(again.stdout) == table_of(first.stdout) != ""


def table_of(text: str) -> str:
    lines = text.splitlines()
    rows = [i for i, line in enumerate(lines) if "│" in line or "┃" in line]
    return "\n".join(lines[rows[0] : rows[-1] + 1]) if rows else ""


def test_the_report_comes_from_mlflow_alone_in_every_text_format(
    first: subprocess.CompletedProcess[str], workspace: Path
) -> None:
    trainings = workspace / "trainings"
    hidden = workspace / "hidden"
    trainings.rename(hidden)
    try:
        for name, sign in (("markdown", "|"), ("csv", ","), ("latex", "\\toprule")):
            done = sweeper(workspace, "report", "smoke", "--format", name)
            assert done.returncode == 0, done.stderr
            assert sign in done.stdout
            assert "ynthetic" in done.stdout.lower()
        done = sweeper(workspace, "report", "smoke", "--format", "json")
        assert json.loads(done.stdout)
    finally:
        hidden.rename(trainings)


def test_plan_and_status_know_that_all_is_done(
    first: subprocess.CompletedProcess[str], workspace: Path
) -> None:
    plan = sweeper(workspace, "plan", str(SPACES / "smoke.yaml"))
    assert plan.returncode == 0, plan.stderr
    assert "1 cell = 1 training + 1 evaluation" in plan.stdout
    assert "1 done" in plan.stdout
    status = sweeper(workspace, "status", str(SPACES / "smoke.yaml"))
    assert status.returncode == 0, status.stderr
    assert "desam full" in status.stdout


def test_another_grid_size_is_scored_from_the_same_training(
    first: subprocess.CompletedProcess[str], workspace: Path
) -> None:
    plan = sweeper(
        workspace,
        "plan",
        str(SPACES / "smoke.yaml"),
        "--set",
        "evaluation.grid_size={grid: [3, 9]}",
    )
    assert plan.returncode == 0, plan.stderr
    assert "2 cells = 1 training + 2 evaluations" in plan.stdout
    assert "1 of them are trained and need only scoring" in plan.stdout


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_ctrl_c_stops_in_good_order_and_the_next_run_goes_on(
    first: subprocess.CompletedProcess[str], workspace: Path, number: signal.Signals, code: int
) -> None:
    seed = f"seed={code}"  # a training that the other signal has not begun
    words = ["run", str(SPACES / "smoke.yaml"), "--set", seed, "--set", "training.epochs=2000"]
    running = subprocess.Popen(
        [sys.executable, "-m", "sweeper.cli", "--workspace", str(workspace), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    before = set((workspace / "trainings").iterdir())
    while time.monotonic() < deadline:
        new = set((workspace / "trainings").iterdir()) - before
        if any((folder / "last.pt").is_file() for folder in new):
            break
        time.sleep(0.2)
    os.kill(running.pid, number)
    out, err = running.communicate(timeout=60)
    assert running.returncode == code, out + err
    assert "run the same command again to resume" in err
    status = sweeper(workspace, "status", *words[1:])
    assert "1 missing" in status.stdout


BAD_INPUTS = [
    (["run", "nowhere.yaml"], "no such file"),
    (["run", "{spaces}/smoke.yaml", "--set", "training.epoch=3"], "did you mean 'epochs'?"),
    (["run", "{spaces}/smoke.yaml", "--set", "source=A-ISB"], "did you mean 'A-ISBI'?"),
    (["run", "{spaces}/smoke.yaml", "--set", "method.name=dsam"], "did you mean 'desam'?"),
    (["run", "{spaces}/smoke.yaml", "--dataset", "nobody"], "is neither in this workspace"),
    (["run", "{spaces}/smoke.yaml", "--dataset", "{spaces}"], "is not a dataset store"),
    (["run", "{spaces}/smoke.yaml", "--encoder", "vit_h"], "sam_vit_h_4b8939.pth"),
    (["run", "{spaces}/smoke.yaml", "--set", "seed={{grid: []}}"], "is empty"),
    (["run", "{spaces}/smoke.yaml", "--set", "training.epochs=many"], "expected a whole number"),
    (["run", "{bad}/no-yaml.yaml"], "not valid YAML"),
    (["run", "{bad}/binary.yaml"], "cannot be read as text"),
    (["run", "{bad}/list.yaml"], "contains a list"),
    (["report", "nothing-of-that-name"], "nothing-of-that-name"),
    (["report", "--output", "{bad}/nowhere/table.md"], "choose a file in an existing folder"),
]


def refusal(workspace: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What the command line says on stderr when it exits with 2, run in this process."""
    with pytest.raises(SystemExit) as caught:
        main(["--workspace", str(workspace), *words])
    assert caught.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(("words", "said"), BAD_INPUTS, ids=[said for _, said in BAD_INPUTS])
def test_wrong_input_gets_one_clear_line(
    first: subprocess.CompletedProcess[str],
    workspace: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
    tmp_path: Path,
) -> None:
    (tmp_path / "no-yaml.yaml").write_text("trial: [1")
    (tmp_path / "binary.yaml").write_bytes(b"\xcb\x00\xff")
    (tmp_path / "list.yaml").write_text("- 1")
    words = [word.format(spaces=SPACES, bad=tmp_path) for word in words]
    line = refusal(workspace, words, capsys)
    assert said in line
    assert line.count("\n") == 1
    assert line.startswith("sweeper: ")


def test_a_workspace_that_is_a_file_gets_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    line = refusal(tmp_path / "file", ["run", str(SPACES / "smoke.yaml")], capsys)
    assert "cannot be written to" in line


def test_whole_scans_are_scored_when_asked_without_another_training(
    first: subprocess.CompletedProcess[str], workspace: Path
) -> None:
    assert not list((workspace / "embeddings").glob("*-background-*"))  # nobody needed them yet
    trainings = set((workspace / "trainings").iterdir())
    space = ("--set", "name=whole", "--set", "evaluation.whole_scan=true")
    done = sweeper(workspace, "run", str(SPACES / "smoke.yaml"), *space)
    assert done.returncode == 0, done.stderr
    assert list((workspace / "embeddings").glob("*-background-*"))
    assert set((workspace / "trainings").iterdir()) == trainings
    found = {}
    for protocol in ("desam2024", "strict", "volume"):
        asked = sweeper(workspace, "report", "whole", "--protocol", protocol, "--format", "json")
        assert asked.returncode == 0, asked.stderr
        found[protocol] = asked.stdout
    # another test of this file may have planned another smoke since: the newest plan is reported
    assert sweeper(workspace, "run", str(SPACES / "smoke.yaml")).returncode == 0
    before = sweeper(workspace, "report", "smoke", "--protocol", "strict", "--format", "csv")
    after = sweeper(workspace, "report", "whole", "--protocol", "strict", "--format", "csv")
    assert before.stdout == after.stdout  # from the same masks of the same slices
    assert len(set(found.values())) == 3
    assert "every slice of the scan" in found["volume"]
    dash = sweeper(workspace, "report", "smoke", "--protocol", "volume")
    assert "scored without protocol volume" in dash.stdout
