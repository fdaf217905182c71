"""A dataset imported from the folder one stands beside is found by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fault_sources as sources
from click.testing import CliRunner

from sweeper.cli import cli

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SPACE = """
name: names
trial: {method: {name: unet}, source: A-ISBI, training: {epochs: 1}}
"""


def test_import_then_plan_in_the_folder_that_holds_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources.saml(tmp_path / "prostate", cases=3)
    (tmp_path / "names.yaml").write_text(SPACE)
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()

    def sweeper(*args: str) -> str:
        result = runner.invoke(cli, args, catch_exceptions=False, standalone_mode=False)
        return result.output

    said = sweeper("data", "import", "prostate", "--name", "prostate", "--processes", "1")
    assert "prostate: 6 cases, 18 slices, 2 domains" in said
    said = sweeper("plan", "names.yaml", "--dataset", "prostate")
    assert "1 training" in said
    assert "all intact" in sweeper("data", "check", "prostate")
    assert "layout saml, 6 cases" in sweeper("data", "check", "./prostate", "--processes", "1")
