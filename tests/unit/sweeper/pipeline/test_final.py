"""A final folder has all that a paper needs, and appears only if no table is a draft."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hand_made import plain, results

from sweeper.cli import cli
from sweeper.config.report import ReportSpec
from sweeper.errors import ConfigError, DraftError
from sweeper.pipeline.bundling.archive import read_archive
from sweeper.pipeline.final import write_final
from sweeper.pipeline.page import FigureStyle
from sweeper.report.formats.latex import LatexStyle
from sweeper.report.query import make_query
from sweeper.store.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from sweeper.report.query import Query

LATEX = LatexStyle(width_cm=12.2, is_short=True)


def queries(is_synthetic: bool = False) -> list[Query]:
    """Dice and HD95 of two finished rows."""
    tracked = results(*plain(method="unet"), *plain(method="desam", gain=0.1))
    (sweep,) = tracked.sweeps
    data = {**sweep.plan["dataset"], "name": "d", "fingerprint": "f00", "synthetic": is_synthetic}
    plan = {**sweep.plan, "dataset": data, "space": {"name": "golden", "trial": {}}}
    tracked = replace(tracked, sweeps=(replace(sweep, plan=plan),))
    return [
        make_query(tracked, ReportSpec(columns="source", baseline="unet", metric=metric))
        for metric in ("dice", "hd95_mm")
    ]


def test_it_has_tables_figures_captions_and_the_bundle_with_right_checksums(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "ws")
    (tmp_path / "final").mkdir()
    for name in ("SHA256SUMS", "bundle.zip", "old.pdf"):  # a former one is replaced
        (tmp_path / "final" / name).touch()
    made = write_final(workspace, queries(), tmp_path / "final", LATEX, FigureStyle())
    names = {path.relative_to(made.path).as_posix() for path in made.path.rglob("*.*")}
    assert names >= {
        "table.tex", "table-supplement.md", "table.md", "table.csv", "table.json", "captions.md",
        "bundle.zip", "figures/boxes.pdf", "figures/boxes.png", "figures/forest.pdf",
    }  # fmt: skip
    lines = (made.path / "SHA256SUMS").read_text().splitlines()
    assert {line.split("  ")[1] for line in lines} == names  # and no old.pdf
    for line in lines:
        digest, name = line.split("  ")
        assert hashlib.sha256((made.path / name).read_bytes()).hexdigest() == digest
    captions = (made.path / "captions.md").read_text()
    assert "Patients of each target site" in captions
    assert "figures/boxes.pdf" in captions
    latex = (made.path / "table.tex").read_text()
    assert "Dice" in latex
    assert "HD95" in latex
    assert "tables/table.csv" in read_archive(made.path / "bundle.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["final", "ws"]


def test_a_draft_writes_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "ws")
    with pytest.raises(DraftError, match=r"synthetic data: import real data with `sweeper data"):
        write_final(workspace, queries(is_synthetic=True), tmp_path / "f", LATEX, FigureStyle())
    assert not (tmp_path / "f").exists()


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="is not a folder of `--final`"):
        write_final(
            Workspace.open(tmp_path / "ws"), queries(), tmp_path / "mine", LATEX, FigureStyle()
        )
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--final", "space.yaml"], "put the space before --final"),
        (["--final", "paper", "--format", "csv"], "writes every format into that folder"),
        (["--final", "paper", "--standalone"], "writes every format into that folder"),
    ],
)
def test_options_that_exclude_a_final_folder_are_refused(
    words: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        cli.main(["--workspace", str(tmp_path), "report", *words], standalone_mode=False)
