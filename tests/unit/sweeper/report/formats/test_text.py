"""Markdown, CSV and JSON of one table: exact values, marks, notes and escapes."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest

from sweeper.report.formats.text import (
    csv_table,
    markdown_table,
    render_csv,
    render_json,
    render_markdown,
)
from sweeper.report.table import Cell, Mark, Origin, ReportTable, TableRow

VALUE = 0.1 + 0.2


@pytest.fixture
def table() -> ReportTable:
    best = Cell(
        value=VALUE,
        deviation=0.5,
        seeds_done=2,
        seeds_planned=2,
        mark=Mark.BEST,
        stars="**",
        n_undefined=1,
    )
    second = Cell(value=math.nan, seeds_done=1, seeds_planned=1, mark=Mark.SECOND)
    missing = Cell(value=None, seeds_done=1, seeds_planned=3)
    published = TableRow(
        label="old [published]",
        cells=(Cell(value=5.0), Cell(value=None)),
        origin=Origin.PUBLISHED,
        note="A paper",
    )
    return ReportTable(
        name="t",
        title="A title",
        row_header="method",
        columns=("A|B", "Overall"),
        rows=(
            TableRow(label="ours", cells=(best, missing), delta=-1.234),
            TableRow(label="base", cells=(second, second)),
            published,
        ),
        caption=("Stars: * .05.",),
        notes=("A note.",),
        draft_reasons=("1 of 2 missing",),
        is_synthetic=True,
        baseline="base",
        is_lower_better=False,
        digits=2,
    )


def test_markdown_has_warnings_above_and_the_caption_below(table: ReportTable) -> None:
    lines = render_markdown(table).splitlines()
    assert lines[0].startswith("> **SYNTHETIC DATA")
    assert "> **DRAFT: 1 of 2 missing.**" in lines
    assert r"| method | A\|B | Overall | Δ vs base |" in lines
    assert "| --- | ---: | ---: | ---: |" in lines
    assert r"| ours | **0.30\*\* ± 0.50 (1 undef.)** | – (1/3 seeds) | -1.23 |" in lines
    assert "| base | <u>nan</u> | <u>nan</u> | – |" in lines
    assert "| *old [published]* | 5.00 | – | – |" in lines
    bottom = [line.removesuffix("  ") for line in lines[lines.index("") :]]
    for line in ("A title", r"Stars: \* .05.", "A note.", "old [published]: A paper."):
        assert line in bottom


def test_csv_has_exact_values_and_says_everything_in_comments(table: ReportTable) -> None:
    text = render_csv(table)
    comments = [line for line in text.splitlines() if line.startswith("# ")]
    assert "# A note." in comments
    assert "# DRAFT: 1 of 2 missing." in comments
    header, ours, base, published = csv.reader(
        line for line in io.StringIO(text) if not line.startswith("# ")
    )
    row = dict(zip(header, ours, strict=True))
    assert float(row["A|B"]) == VALUE
    assert (row["A|B sd"], row["A|B seeds"], row["A|B stars"]) == ("0.5", "2/2", "**")
    assert (row["Overall"], row["Overall seeds"], row["Δ vs base"]) == ("", "1/3", "-1.234")
    assert dict(zip(header, base, strict=True))["A|B"] == "nan"
    assert dict(zip(header, published, strict=True))["origin"] == "published"


def test_json_has_the_whole_table_with_null_for_undefined_and_empty(table: ReportTable) -> None:
    read = json.loads(render_json(table))
    assert read["rows"][0]["cells"][0]["value"] == VALUE
    assert read["rows"][0]["cells"][0]["mark"] == "best"
    assert read["rows"][0]["cells"][1]["value"] is None
    assert read["rows"][1]["cells"][0]["value"] is None
    assert read["columns"] == ["A|B", "Overall"]
    assert read["draft_reasons"] == ["1 of 2 missing"]


def test_cells_with_separators_are_escaped() -> None:
    assert markdown_table(["a|b", "c"], [["1|2", "3"]], []).splitlines()[2] == r"| 1\|2 | 3 |"
    text = csv_table(["note"], [["a", "b"], ["x,y", 'quote"']])
    assert text.splitlines()[0] == "# note"
    assert list(csv.reader(text.splitlines()[1:])) == [["a", "b"], ["x,y", 'quote"']]
