"""Baselines by name, and marks on unrounded values."""

from __future__ import annotations

import pytest
from hand_made import plain, results

from sweeper.config.report import ReportSpec
from sweeper.errors import ConfigError
from sweeper.report.build import build_table
from sweeper.report.query import make_query
from sweeper.report.statistics.ranks import find_label, find_row, unequal_columns
from sweeper.report.table import Mark

LABELS = ["unet", "unet official", "desam full"]


def test_a_name_wins_over_names_that_begin_with_it() -> None:
    assert find_label(LABELS, "unet") == "unet"


def test_a_unique_beginning_will_do_and_an_ambiguous_one_is_refused() -> None:
    assert find_label(LABELS, "desam") == "desam full"
    with pytest.raises(ConfigError, match="baseline: 'un' is not one row"):
        find_label(LABELS, "un")


def test_differences_below_the_printed_digits_still_rank() -> None:
    runs = [r for i in range(3) for r in plain(method=f"m{i}", gain=i * 1e-6)]
    made = build_table(make_query(results(*runs), ReportSpec(columns="source")))
    marks = [row.cells[-1].mark for row in made.rows]
    assert marks == [None, Mark.SECOND, Mark.BEST]
    assert find_row(made.rows, "m2").label == "m2"


def test_rows_of_equal_cases_are_comparable() -> None:
    query = make_query(
        results(*plain(method="a"), *plain(method="b")), ReportSpec(columns="source")
    )
    assert unequal_columns(query) == {}
