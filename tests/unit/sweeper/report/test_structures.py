"""Tables over structures: one column each, or one row each; what is pooled is said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hand_made import results, run

from sweeper.config.report import ReportSpec
from sweeper.report.build import build_table
from sweeper.report.caption import caption
from sweeper.report.draft import draft_reasons
from sweeper.report.query import make_query


def trained(structure: str, source: str, values):
    """A training of one structure, with its scores."""
    made = run("unet", source, values, params={"structure": structure})
    return replace(made, scores=tuple(s._replace(structure=structure) for s in made.scores))


RUNS = (
    trained("gland", "A", {"A": (0.9,), "B": (0.6, 0.8), "C": (0.4,)}),
    trained("gland", "B", {"A": (0.5,), "B": (0.9,), "C": (0.7,)}),
    trained("zone", "A", {"A": (0.9,), "B": (0.3, 0.3), "C": (0.6,)}),
    trained("zone", "B", {"A": (0.2,), "B": (0.9,), "C": (0.1,)}),
)


def table_of(**spec):
    query = make_query(results(*RUNS), ReportSpec(**spec))
    table = build_table(query)
    return query, table, " ".join(caption(query, table.rows))


def values(row) -> list[float | None]:
    return [cell.value for cell in row.cells]


@pytest.mark.parametrize(
    ("aggregate", "gland", "zone"),
    [("cases", 60, 30), ("sites", (50 + 70 + 55) / 3, (20 + 30 + 35) / 3)],
)
def test_a_column_per_structure_pools_all_directions(aggregate, gland, zone) -> None:
    query, table, words = table_of(columns="by_structure", aggregate=aggregate)
    assert table.columns == ("gland", "zone", "Average")
    (row,) = table.rows
    assert values(row) == pytest.approx([gland, zone, (gland + zone) / 2])
    assert "Each column is a structure (all sources and their targets)" in words
    assert "Plain mean over 2 structures" not in words
    assert "5 pairs of source and case per cell" in words
    assert not [r for r in draft_reasons(query, table.rows) if "plan" in r]


def test_a_row_per_structure_pools_none_and_says_nothing_of_a_mean_over_them() -> None:
    _, table, words = table_of(columns="source", rows="method,structure")
    assert [row.label for row in table.rows] == ["unet | gland", "unet | zone"]
    assert values(table.rows[0]) == pytest.approx([60, 60, 60])
    assert "Plain mean over" not in words
    _, table, words = table_of(columns="source", rows="method")
    assert [row.label for row in table.rows] == ["unet"]
    assert "Plain mean over 2 structures: gland, zone." in words


def test_a_source_that_one_row_lacks_is_a_reason_for_a_draft() -> None:
    fewer = replace(RUNS[0], params={**RUNS[0].params, "method.name": "desam"}, run_id="x")
    fewer = replace(fewer, tags={**fewer.tags, "train_id": "x"})
    query = make_query(results(*RUNS, fewer), ReportSpec(columns="by_structure"))
    reasons = draft_reasons(query, build_table(query).rows)
    assert any("no plan at source B" in reason for reason in reasons)
