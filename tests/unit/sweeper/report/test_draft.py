"""The draft gate: its table in the documentation, and a remedy for every reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hand_made import plain, results

from sweeper.config.report import ReportSpec
from sweeper.errors import DraftError
from sweeper.report.build import build_tables
from sweeper.report.draft import GATE, gate_table, refuse_drafts
from sweeper.report.query import make_query

PAGE = Path(__file__).resolve().parents[4] / "docs" / "report.md"


def test_the_page_lists_the_conditions_of_the_code() -> None:
    assert gate_table() in PAGE.read_text(), f"replace the table in docs/report.md:\n{gate_table()}"


def test_every_condition_is_named_once_with_what_to_do() -> None:
    assert (
        len({rule.condition for rule in GATE}) == len({rule.remedy for rule in GATE}) == len(GATE)
    )


def test_a_refusal_says_every_reason_on_its_own_line_with_what_to_do() -> None:
    first, *rest = plain()
    runs = (replace(first, tags={**first.tags, "synthetic": "true"}), *rest[:-1])
    tables = build_tables(
        make_query(results(*runs, missing=rest[-1:]), ReportSpec(columns="source"))
    )
    with pytest.raises(DraftError) as refused:
        refuse_drafts(tables)
    heading, *lines = str(refused.value).splitlines()
    assert heading == "no final table:"
    assert [line.strip().split(":")[0] for line in lines] == [
        "synthetic data",
        "1 of 3 scorings missing (1 not run yet)",
    ]
    assert all(line.startswith("  ") and len(line.split(": ", 1)[1]) > 20 for line in lines)
