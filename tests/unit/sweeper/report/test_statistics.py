"""Tests, intervals and ranks against examples worked out by hand."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hand_made import plain, results, run

from sweeper.config.report import ReportSpec
from sweeper.report.build import build_table
from sweeper.report.query import Query, make_query
from sweeper.report.statistics.intervals import contributions, resample_counts, table_statistics
from sweeper.report.statistics.significance import holm, patient_means, signed_rank, table_tests
from sweeper.report.statistics.table import statistics_table

if TYPE_CHECKING:
    from sweeper.tracking.tracker import TrackedRun


def test_the_signed_rank_p_is_that_of_a_worked_example() -> None:
    # ranks of |d|: 1..6, the negative one has rank 2, so W- = 2. Sign patterns of 6 with
    # W- <= 2: {}, {1}, {2} = 3 of 64; two-sided p = 6 / 64
    p, smallest = signed_rank([1.0, -2.0, 3.0, 4.0, 5.0, 6.0])
    assert p == pytest.approx(6 / 64)
    assert smallest == 2 / 64


@pytest.mark.parametrize("differences", [[1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
def test_five_pairs_cannot_reach_significance_and_say_so(differences) -> None:
    assert signed_rank(differences) == (0.0625, 0.0625)


def test_differences_of_zero_are_no_evidence() -> None:
    assert signed_rank([0.0, 0.0]) == (1.0, 1.0)
    assert signed_rank([0.0, 1.0, 2.0])[1] == 0.5


def test_holm_steps_down_and_never_decreases() -> None:
    # worked by hand: 0.01 x 3, max(0.03, 0.02 x 2), max(0.04, 0.03 x 1)
    assert holm([0.03, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def eight(method: str, gains: tuple[float, ...]):
    """Trained on A; eight patients of B with Dice 0.30 ... 0.37 plus gains."""
    return run(method, "A", {"B": tuple(0.3 + 0.01 * i + gain for i, gain in enumerate(gains))})


def compared(**spec) -> Query:
    base = eight("base", (0.0,) * 8)
    better = eight("better", tuple(0.01 * rank for rank in range(1, 9)))
    # the difference with rank 2 is negative
    mixed = eight("mixed", (0.01, -0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08))
    return make_query(
        results(base, better, mixed), ReportSpec(columns="source", baseline="base", **spec)
    )


def test_stars_in_the_table_are_those_of_a_worked_example() -> None:
    # raw: better 2/256 (all signs equal), mixed 6/256 (W- = 2), in column A and in the average,
    # which are the same numbers here. Holm over four tests: 4 x 2/256, then not below it,
    # then 2 x 6/256, then not below it
    tests = table_tests(compared()).tests
    assert {key: test.p_holm for key, test in tests.items()} == pytest.approx(
        {
            ("better", "A"): 8 / 256,
            ("better", ""): 8 / 256,
            ("mixed", "A"): 12 / 256,
            ("mixed", ""): 12 / 256,
        }
    )
    made = build_table(compared())
    assert [[cell.stars for cell in row.cells] for row in made.rows] == [
        ["", ""],
        ["*", "*"],
        ["*", "*"],
    ]
    words = " ".join(made.caption)
    assert "against base" in words
    assert "Holm over the table's 4 tests" in words
    # 4 x 2/256 is the smallest p: two stars need less
    assert "Smallest reachable p after correction: 0.031." in words
    assert "never printed: ***, **." in words


def test_stars_that_so_few_patients_cannot_reach_are_refused() -> None:
    # every patient gains, but 6 patients and 4 tests reach no less than 4 x 2/64
    made = build_table(
        make_query(
            results(*plain(method="low"), *plain(method="high", gain=0.05)),
            ReportSpec(columns="source", baseline="low"),
        )
    )
    assert all(cell.stars == "" for row in made.rows for cell in row.cells)
    assert any("never printed: ***, **, *." in line for line in made.caption)


def test_what_can_be_reached_counts_holms_steps_so_that_no_refused_star_is_printed() -> None:
    # 20 patients at A, 6 at B, 26 in the average: B's 2/64 comes last, and Holm multiplies it by 1
    def trained(method: str, gain: float) -> tuple[TrackedRun, ...]:
        gains = [0.3 + gain * (i + 1) for i in range(20)]
        return (
            run(method, "A", {"B": tuple(gains)}),
            run(method, "B", {"A": tuple(gains[:6])}),
        )

    spec = ReportSpec(columns="source", baseline="low")
    query = make_query(results(*trained("low", 0.0), *trained("high", 0.01)), spec)
    made = build_table(query)
    assert [cell.stars for cell in made.rows[1].cells] == ["***", "*", "***"]
    assert table_tests(query).tests["high", "B"].smallest_p == 2 / 64
    words = " ".join(made.caption)
    assert "Smallest reachable p after correction: 8.9e-08 to 0.031, by cell." in words
    assert "Out of reach of the cells with few patients: ***, **." in words


def test_no_stars_without_a_named_row_or_when_they_are_not_wanted() -> None:
    plain_table = build_table(compared(stars=False))
    assert all(cell.stars == "" for row in plain_table.rows for cell in row.cells)
    assert not any("Wilcoxon" in line for line in plain_table.caption)


def test_the_statistics_and_the_stars_are_one_family_of_tests() -> None:
    found = table_statistics(compared())
    assert [row.test.p_holm for row in found.rows if row.test] == [8 / 256, 12 / 256]
    words = " ".join(statistics_table(found, "t", 2).notes)
    assert "Holm over the 4 tests" in words
    assert "Smallest reachable p after correction: 0.031" in words


@pytest.mark.parametrize("aggregate", ["cases", "sites"])
def test_the_patients_contributions_sum_to_the_tables_own_average(aggregate: str) -> None:
    query = make_query(
        results(*plain(seed=0), *plain(seed=1, gain=0.3)),
        ReportSpec(columns="source", aggregate=aggregate),
    )
    parts = contributions(query.pools["unet"], aggregate)
    average = build_table(query).rows[0].cells[-1].value
    assert sum(parts.values()) == pytest.approx(average)
    # b1 under source A 60 and C 20, equal in both seeds
    means = patient_means(list(query.pools["unet"].values()))
    assert means["B", "b1"] == pytest.approx(40)


def test_over_some_patients_the_average_is_theirs_and_not_a_part_of_the_whole() -> None:
    query = make_query(results(*plain()), ReportSpec(columns="source"))
    # patients of C: 20 under source A, 30 under B; source C has none of them
    only_c = contributions(query.pools["unet"], "cases", frozenset({("C", "c1")}))
    assert sum(only_c.values()) == pytest.approx(25)


def test_source_validation_is_in_no_statistic_of_a_matrix() -> None:
    query = make_query(results(*plain()), ReportSpec(columns="matrix"))
    assert set(query.columns) == {f"{s} -> {t}" for s in "ABC" for t in "ABC" if s != t}
    # the six cells off the diagonal: 60, 20, 60, 30, 40, 30
    (row,) = table_statistics(query).rows
    assert row.mean == pytest.approx(40)


def test_structures_of_a_patient_are_one_unit() -> None:
    query = make_query(results(*plain()), ReportSpec(columns="source"))
    by_column = query.pools["unet"]
    pool = by_column["A"]["0"]
    pool.numbers["second"] = [
        number._replace(case=(*number.case[:2], "second"), value=number.value + 10)
        for number in pool.numbers["prostate"]
    ]
    assert patient_means([by_column["A"]])["C", "c1"] == pytest.approx(25)


def test_resampling_keeps_the_number_of_patients_of_every_site() -> None:
    patients = [("A", "a1"), ("A", "a2"), ("B", "b1")]
    counts = resample_counts(patients, n_resamples=500)
    assert (counts[:, :2].sum(axis=1) == 2).all()
    assert (counts[:, 2] == 1).all()
    assert np.unique(counts[:, 0]).tolist() == [0, 1, 2]


def test_a_bootstrap_interval_is_that_of_a_worked_example() -> None:
    # one site with two patients, 40 and 60: resampled means are 40, 50, 60 with 1/4, 1/2, 1/4,
    # so that the 2.5 and 97.5 percentiles are the ends; the difference is 10 or 0, so 0 ... 10
    base = run("base", "A", {"B": (0.4, 0.6)})
    other = run("other", "A", {"B": (0.5, 0.6)})
    query = make_query(results(base, other), ReportSpec(columns="source", baseline="base"))
    low, high = table_statistics(query).rows
    assert (low.mean, low.interval) == (pytest.approx(50), pytest.approx((40, 60)))
    assert high.delta == pytest.approx(5)
    assert high.delta_interval == pytest.approx((0, 10), abs=1e-9)
    # both are the same in the quarter of resamples that draws the second patient twice, and share
    # it: first in 3/4 + 1/8 of them
    assert high.first_share == pytest.approx(7 / 8, abs=0.02)
    assert low.first_share == pytest.approx(1 / 8, abs=0.02)


def test_lower_is_better_for_distances() -> None:
    query = make_query(
        results(eight("near", (0.1,) * 8), eight("far", (0.0,) * 8)),
        ReportSpec(columns="source", metric="hd95_mm"),
    )
    found = table_statistics(query)
    assert found.baseline == "near"
    assert [row.first_share for row in found.rows] == [1.0, 0.0]


def test_patients_that_are_undefined_in_a_row_enter_no_comparison_of_the_average() -> None:
    whole = run("whole", "A", {"B": (0.2, 0.4, 0.6)})
    holed = run("holed", "A", {"B": (math.nan, 0.5, 0.7)})
    query = make_query(results(whole, holed), ReportSpec(columns="source", baseline="whole"))
    found = table_statistics(query)
    assert {row.n_patients for row in found.rows} == {2}
    # means of the two patients that both rows have, not two thirds of them
    assert [row.mean for row in found.rows] == pytest.approx([50, 60])


def test_incomplete_rows_and_upper_bounds_are_left_out_by_name() -> None:
    half = plain(method="half")
    bound = run(
        "upper_bound",
        "all",
        {"A": (0.9, 0.9), "B": (0.9,) * 3, "C": (0.9,)},
        params={"method.variant": "all_sites", "fold": "0"},
    )
    query = make_query(
        results(*plain(method="whole"), *half[:2], bound, missing=half[2:]),
        ReportSpec(columns="source"),
    )
    found = table_statistics(query)
    assert [row.label for row in found.rows] == ["whole"]
    assert found.left_out == (
        "half: incomplete",
        "upper_bound all_sites: an upper bound is no competitor",
    )


def test_an_incomplete_baseline_is_no_baseline_and_no_other_row_takes_its_place() -> None:
    half = plain(method="half")
    query = make_query(
        results(*plain(method="whole"), *half[:2], missing=half[2:]),
        ReportSpec(columns="source", baseline="half"),
    )
    assert table_statistics(query).rows == ()
    assert all(cell.stars == "" for row in build_table(query).rows for cell in row.cells)
