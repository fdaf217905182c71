from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from sweeper.cli import main
from sweeper.pipeline.health.environment import environment_lines
from sweeper.store.workspace import Workspace
from sweeper.version import MAIN_PACKAGES, __version__

if TYPE_CHECKING:
    from pathlib import Path


def test_the_environment_says_what_a_report_of_a_problem_needs_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden-secret")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    lines = list(environment_lines(Workspace(tmp_path / "ws"), starts_ray=False))
    text = "\n".join(lines)
    names = [line.partition(":")[0] for line in lines]
    assert lines[0] == f"sweeper: {__version__}"
    assert {"packages", "system", "processor", "memory", "workspace", "shared memory"} <= {*names}
    assert f"{os.cpu_count()} cores" in text
    assert "~/ws does not exist" in text
    assert str(tmp_path) not in text
    assert "hidden-secret" not in text


def test_the_version_comes_with_those_of_the_main_packages(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["--version"])
    first, second = capsys.readouterr().out.splitlines()
    assert (exited.value.code, first) == (0, f"sweeper, version {__version__}")
    assert all(f"{package} " in second for package in ("python", *MAIN_PACKAGES))
