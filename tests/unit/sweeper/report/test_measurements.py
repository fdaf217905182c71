"""Which cases a cell pools, by direction; upper bounds; comparable cells."""

from __future__ import annotations

import math

import pytest
from hand_made import SITES, plain, results, run

from sweeper.config.report import ReportSpec
from sweeper.report.caption import caption
from sweeper.report.measurements import case_shares, is_own_pair, planned_pairs, pools
from sweeper.report.query import make_query


def pooled(*runs, **spec):
    query = make_query(results(*runs), ReportSpec(**{"columns": "source", **spec}))
    (row,) = query.rows.values()
    return pools(row, query.spec, SITES)


def values(pool) -> list[float]:
    return sorted(m.value for numbers in pool.numbers.values() for m in numbers)


def test_a_source_column_pools_the_targets_and_a_target_column_the_sources() -> None:
    by_source, by_target = pooled(*plain()), pooled(*plain(), columns="target")
    assert values(by_source["A"]["0"]) == pytest.approx([20, 60, 60, 60])
    assert values(by_target["A"]["0"]) == pytest.approx([40, 40, 50, 70])


def test_the_group_is_the_domain_that_sites_average_within() -> None:
    by_source, by_target = pooled(*plain()), pooled(*plain(), columns="target")
    groups = {m.group for m in by_source["A"]["0"].numbers["prostate"]}
    assert groups == {"B", "C"}  # targets
    groups = {m.group for m in by_target["A"]["0"].numbers["prostate"]}
    assert groups == {"B", "C"}  # sources


def test_only_the_matrix_has_source_validation() -> None:
    matrix = pooled(*plain(), columns="matrix")
    assert set(matrix) == {f"{source} -> {target}" for source in SITES for target in SITES}
    assert values(matrix["A -> A"]["0"]) == pytest.approx([90, 90])
    assert is_own_pair("A -> A")
    assert not is_own_pair("A -> B")
    assert not is_own_pair("A")


def test_in_domain_tests_are_the_diagonal_of_the_matrix_and_in_no_other_number() -> None:
    scores = {"A": (0.9,), "A/test": (0.6, 0.8), "B": (0.5,), "C": (0.3,)}
    tested = run("unet", "A", scores)
    matrix = pooled(tested, columns="matrix")
    assert values(matrix["A -> A"]["0"]) == pytest.approx([60, 80])
    assert values(matrix["A -> B"]["0"]) == pytest.approx([50])
    assert set(matrix) == {"A -> A", "A -> B", "A -> C"}
    assert values(pooled(tested)["A"]["0"]) == pytest.approx([30, 50])
    assert set(pooled(tested, columns="target")) == {"B", "C"}
    query = make_query(results(tested), ReportSpec(columns="matrix"))
    text = "the diagonal is the source's own test cases (in-domain test) and in no mean"
    assert any(text in line for line in caption(query, ()))


def test_an_upper_bound_counts_its_held_out_cases_in_all_other_columns() -> None:
    folds = [
        run(
            "upper_bound",
            site,
            {site: (0.5,)},
            params={"fold": "0", "method.variant": "target_cv"},
        )
        for site in SITES
    ]
    by_column = pooled(*folds)
    targets = {
        column: {m.case[0] for m in by_column[column]["0"].numbers["prostate"]}
        for column in by_column
    }
    assert targets == {"A": {"B", "C"}, "B": {"A", "C"}, "C": {"A", "B"}}
    without_c = pooled(*folds[:2])
    assert set(without_c) == {"C"}  # A and B would lack the cases of C


def test_a_named_target_restricts_an_entry_to_one_pair() -> None:
    (named,) = make_query(
        results(run("unet", "A", {"B": (0.5,)}, evaluation={"target": "B"})),
        ReportSpec(columns="source"),
    ).entries
    assert planned_pairs(named, SITES) == [("A", "B")]
    (free,) = make_query(results(plain()[0]), ReportSpec(columns="source")).entries
    assert planned_pairs(free, SITES) == [("A", "A"), ("A", "B"), ("A", "C")]


def test_cells_are_comparable_only_if_the_same_cases_are_in_the_same_seeds() -> None:
    def shares(*runs, skips: bool = False):
        return case_shares(pooled(*runs)["A"], skips_undefined=skips)

    complete = run("unet", "A", {"B": (0.5, 0.6), "C": (0.7,)})
    fewer = run("unet", "A", {"B": (0.5,), "C": (0.7,)})
    undefined = run("unet", "A", {"B": (0.5, math.nan), "C": (0.7,)})
    assert shares(complete) == shares(undefined)
    assert shares(complete, skips=True) != shares(undefined, skips=True)
    assert shares(complete) != shares(fewer)
    second = run("unet", "A", {"B": (0.5,), "C": (0.7,)}, seed=1)
    by_case = {case: share for (_, case), share in shares(complete, second)}
    assert by_case["B", "b1", "prostate"] == 1
    assert by_case["B", "b2", "prostate"] == 0.5
