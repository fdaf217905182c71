"""Tables of trainings on several domains: directions, validation, tests in domain, captions."""

from __future__ import annotations

import pytest
from hand_made import plain, results, run

from sweeper.config.report import ReportSpec
from sweeper.report.build import build_table, build_tables
from sweeper.report.caption import caption, notes
from sweeper.report.draft import draft_reasons
from sweeper.report.query import make_query

LEFT_OUT = (
    run("unet", "B+C", {"A": (0.4, 0.6), "B": (0.9,) * 3, "C": (0.8,)}),
    run("unet", "A+C", {"A": (0.9, 0.9), "B": (0.3, 0.3, 0.3), "C": (0.8,)}),
    run("unet", "A+B", {"A": (0.9, 0.9), "B": (0.9,) * 3, "C": (0.2,)}),
)


def query_of(*runs, **spec):
    return make_query(results(*runs), ReportSpec(**{"columns": "source", **spec}))


def values(table) -> list[float | None]:
    return [cell.value for cell in table.rows[0].cells]


def test_a_target_column_shows_what_the_training_on_all_others_scores_there() -> None:
    query = query_of(*LEFT_OUT, columns="target")
    table = build_table(query)
    assert table.columns == ("A", "B", "C", "Overall")
    assert values(table) == pytest.approx([50, 30, 20, 100 / 3])
    words = " ".join(caption(query, table.rows))
    assert "Each column is a target site: tested on it, trained on all others together" in words
    assert "n = 6 cases" in words
    assert not [reason for reason in draft_reasons(query, table.rows) if "no plan" in reason]


def test_a_source_column_is_named_after_the_domains_or_the_only_one_left_out() -> None:
    query = query_of(*LEFT_OUT, names={"B": "Bern"})
    table = build_table(query)
    assert table.columns == ("all but A", "all but Bern", "all but C", "Overall")
    assert values(table) == pytest.approx([50, 30, 20, 100 / 3])
    assert "tested on all others" in " ".join(caption(query, table.rows))
    assert not [line for line in notes(query, table.rows) if line.startswith("Sources here are")]
    four = results(LEFT_OUT[0])
    four.sweeps[0].plan["dataset"]["domains"].append("D")
    assert make_query(four, ReportSpec(columns="source")).shown("B+C") == "B+C"


def test_single_and_several_sources_stand_side_by_side() -> None:
    table = build_table(query_of(*plain(), LEFT_OUT[0]))
    assert table.columns == ("A", "B", "C", "all but A", "Overall")


def test_validation_on_either_source_is_the_diagonal_of_a_matrix_and_in_no_mean() -> None:
    query = query_of(*LEFT_OUT, columns="matrix")
    (table,) = build_tables(query)
    assert [row.label for row in table.rows] == ["all but A", "all but B", "all but C", "Mean"]
    assert values(table) == pytest.approx([50, 90, 80, 50])
    assert [cell.value for cell in table.rows[-1].cells] == pytest.approx([50, 30, 20, 100 / 3])


def test_in_domain_tests_of_one_source_replace_its_validation_alone() -> None:
    both = run("unet", "A+B", {"A": (0.9,), "A/test": (0.7,), "B": (0.6,), "C": (0.2,)})
    (table,) = build_tables(query_of(both, columns="matrix"))
    assert values(table) == pytest.approx([70, 60, 20, 20])


def test_an_upper_bound_fills_the_column_of_several_sources() -> None:
    folds = [
        run(
            "upper_bound",
            site,
            {site: (0.7,)},
            params={"fold": "0", "method.variant": "target_cv"},
        )
        for site in "ABC"
    ]
    table = build_table(query_of(*LEFT_OUT, *folds))
    assert [cell.value for cell in table.rows[1].cells] == pytest.approx([70, 70, 70, 70])
