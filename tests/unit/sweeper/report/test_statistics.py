"""Tests, intervals and ranks against examples worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hand_made import plain, results, run
from scipy import stats

from sweeper.config.report import ReportSpec
from sweeper.report.build import build_table
from sweeper.report.query import Query, make_query
from sweeper.report.statistics.comparison import table_statistics
from sweeper.report.statistics.contributions import contributions, defined_patients
from sweeper.report.statistics.significance import holm, table_tests
from sweeper.report.statistics.table import statistics_table
from sweeper.report.statistics.wilcoxon import patient_means, signed_rank

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


def eight(method: str, gains: tuple[float, ...], seed: int = 0, shift: float = 0.0) -> TrackedRun:
    """Trained on A; eight patients of B with Dice 0.30 ... 0.37 plus gains."""
    dice = tuple(0.3 + 0.01 * i + gain + shift for i, gain in enumerate(gains))
    return run(method, "A", {"B": dice}, seed=seed)


GAINS = tuple(0.01 * rank for rank in range(1, 9))
SHIFTS = (-0.005, 0.0, 0.005)
"""Of the better row's three seeds."""


def compared(n_seeds: int = 3, **spec) -> Query:
    runs = []
    for seed, shift in enumerate(SHIFTS[:n_seeds]):
        runs += [
            eight("base", (0.0,) * 8, seed),
            eight("better", GAINS, seed, shift),
            eight("same", (0.01, -0.01) * 4, seed),
        ]
    return make_query(results(*runs), ReportSpec(columns="source", baseline="base", **spec))


def half_width(level: float) -> float:
    """Of `better` less `base`: seeds differ by -0.5, 0 and 0.5 points, patients by 1 ... 8."""
    t_seeds = stats.t.ppf(1 - level / 2, 2)
    t_patients = stats.t.ppf(1 - level / 2, 7)
    return math.sqrt(t_seeds**2 * 0.25 / 3 + t_patients**2 * np.var(range(1, 9), ddof=1) / 8)


def test_a_difference_its_interval_and_its_p_are_those_of_a_worked_example() -> None:
    better = next(row for row in table_statistics(compared()).rows if row.label == "better")
    assert better.delta == pytest.approx(4.5)
    half = half_width(0.05)
    assert better.delta_interval == pytest.approx((4.5 - half, 4.5 + half))
    assert better.test is not None
    # the interval at the level p just touches 0
    assert half_width(better.test.p) == pytest.approx(4.5)
    assert better.first_share is not None
    assert better.first_share > 0.9


def test_stars_are_those_of_the_tests_with_holms_correction() -> None:
    query = compared()
    tests = table_tests(query).tests
    # column A and the average are the same numbers here
    assert set(tests) == {("better", "A"), ("better", ""), ("same", "A"), ("same", "")}
    assert tests["better", "A"].p_holm == pytest.approx(4 * tests["better", "A"].p)
    assert tests["same", ""].p_holm == 1.0
    made = build_table(query)
    stars = tests["better", ""].stars
    assert stars == "*"
    assert [[cell.stars for cell in row.cells] for row in made.rows] == [
        ["", ""],
        [stars, stars],
        ["", ""],
    ]
    words = " ".join(made.caption)
    assert "worse than base (one .05, two .01, three .001), over seeds and over patients" in words
    assert "Holm over the table's 4 tests" in words


@pytest.mark.parametrize(("n_seeds", "words"), [(1, "one seed: no test"), (2, "2 seeds: no test")])
def test_with_fewer_than_three_seeds_nothing_is_claimed_of_a_method(
    n_seeds: int, words: str
) -> None:
    query = compared(n_seeds)
    made = build_table(query)
    assert all(cell.stars == "" for row in made.rows for cell in row.cells)
    assert any(words in line for line in made.caption)
    found = table_statistics(query)
    for row in found.rows:
        assert (row.interval, row.delta_interval, row.first_share, row.test) == (None,) * 4
    # the patients of these trained networks are another matter, and say so
    assert found.rows[1].wilcoxon_p is not None
    text = statistics_table(found, "t", 2)
    assert "p Wilcoxon (these networks)" in text.header
    assert any(words in note for note in text.notes)
    assert text.rows[1][4] == f"+{found.rows[1].delta:.2f}"


def test_a_row_with_fewer_seeds_than_three_is_not_tested_and_the_others_are() -> None:
    runs = [eight(name, GAINS, seed) for seed in range(3) for name in ("base", "three")]
    query = make_query(
        results(*runs, eight("lonely", GAINS, 0)), ReportSpec(columns="source", baseline="base")
    )
    tests = table_tests(query)
    assert {label for label, _ in tests.tests} == {"three"}
    assert tests.left_out == ("lonely: one seed: no test",)


def test_rows_with_other_seeds_than_the_baseline_are_compared_without_pairing_seeds() -> None:
    runs = [eight("base", (0.0,) * 8, seed, SHIFTS[seed]) for seed in range(3)]
    runs += [eight("other", (0.0,) * 8, seed + 5, SHIFTS[seed]) for seed in range(3)]
    query = make_query(results(*runs), ReportSpec(columns="source", baseline="base"))
    other = table_statistics(query).rows[1]
    # paired, the seeds would cancel; unpaired they add: two variances of 0.25/3
    half = stats.t.ppf(0.975, 2) * math.sqrt(2 * 0.25 / 3)
    assert other.delta_interval == pytest.approx((-half, half))


def test_a_method_against_itself_with_other_seeds_has_no_stars() -> None:
    """Three seeds of one method as three rows: nothing may be claimed of any."""
    runs = [
        run("pdmm_only", "A", {"B": tuple(0.41 - 0.02 * seed + 0.01 * i for i in range(12))},
            seed=seed, params={"method.name": f"seed{seed}"})
        for seed in range(3)
    ]  # fmt: skip
    made = build_table(make_query(results(*runs), ReportSpec(columns="source", baseline="seed0")))
    assert [row.cells[-1].stars for row in made.rows] == ["", "", ""]


def test_no_stars_without_a_named_row_or_when_they_are_not_wanted() -> None:
    plain_table = build_table(compared(stars=False))
    assert all(cell.stars == "" for row in plain_table.rows for cell in row.cells)
    assert not any("Stars" in line for line in plain_table.caption)


def test_the_statistics_and_the_stars_are_one_family_of_tests() -> None:
    query = compared()
    found, tests = table_statistics(query), table_tests(query).tests
    assert [row.test for row in found.rows if row.test] == [tests["better", ""], tests["same", ""]]
    words = " ".join(statistics_table(found, "t", 2).notes)
    assert "Holm over the 4 tests" in words


@pytest.mark.parametrize("aggregate", ["cases", "sites"])
def test_the_patients_contributions_sum_to_the_tables_own_average(aggregate: str) -> None:
    query = make_query(
        results(*plain(seed=0), *plain(seed=1, gain=0.3)),
        ReportSpec(columns="source", aggregate=aggregate),
    )
    row = query.pools["unet"]
    patients = defined_patients([row])
    parts = contributions(row, aggregate, patients)
    average = build_table(query).rows[0].cells[-1].value
    assert parts.shape == (2, len(patients))
    assert parts.sum(axis=1).mean() == pytest.approx(average)
    # b1 under source A 60 and C 20, equal in both seeds
    means = patient_means(list(query.pools["unet"].values()))
    assert means["B", "b1"] == pytest.approx(40)


def test_over_some_patients_the_average_is_theirs_and_not_a_part_of_the_whole() -> None:
    query = make_query(results(*plain()), ReportSpec(columns="source"))
    # patients of C: 20 under source A, 30 under B; source C has none of them
    only_c = contributions(query.pools["unet"], "cases", [("C", "c1")])
    assert only_c == pytest.approx(25)


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


def test_lower_is_better_for_distances() -> None:
    query = make_query(
        results(
            *(
                eight(name, gains, seed)
                for seed in range(3)
                for name, gains in (("near", (0.1,) * 8), ("far", (0.0,) * 8))
            )
        ),
        ReportSpec(columns="source", metric="hd95_mm"),
    )
    found = table_statistics(query)
    assert found.baseline == "near"
    assert [row.first_share for row in found.rows] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("undefined", "reason"),
    [
        ("nan", "holed: 1 undefined case number"),
        ("skip", "holed: scored on other cases than whole"),
    ],
)
@pytest.mark.parametrize("baseline", ["whole", None])
def test_a_row_with_an_undefined_case_is_in_no_comparison_and_never_first(
    undefined: str, reason: str, baseline: str | None
) -> None:
    whole = run("whole", "A", {"B": (0.2, 0.4, 0.6)})
    holed = run("holed", "A", {"B": (math.nan, 0.5, 0.7)})
    spec = ReportSpec(columns="source", baseline=baseline, undefined=undefined)
    found = table_statistics(make_query(results(holed, whole), spec))
    # the patient that the other row failed on still counts
    assert [(row.label, row.n_patients, row.mean) for row in found.rows] == [
        ("whole", 3, pytest.approx(40))
    ]
    assert found.rows[0].first_share is None
    assert reason in found.left_out


def test_rows_that_skip_the_same_case_are_compared_on_the_others() -> None:
    rows = [run(name, "A", {"B": (math.nan, 0.4, 0.6)}) for name in ("one", "other")]
    spec = ReportSpec(columns="source", baseline="one", undefined="skip")
    found = table_statistics(make_query(results(*rows), spec))
    assert [(row.n_patients, row.mean) for row in found.rows] == [(2, pytest.approx(50))] * 2


def test_an_undefined_baseline_has_no_tests_and_says_so() -> None:
    runs = [run("holed", "A", {"B": (math.nan, 0.5, 0.7)}, seed=seed) for seed in range(3)]
    runs += [run("whole", "A", {"B": (0.2, 0.4, 0.6)}, seed=seed) for seed in range(3)]
    query = make_query(results(*runs), ReportSpec(columns="source", baseline="holed"))
    assert table_tests(query).tests == {}
    found = table_statistics(query)
    assert found.rows == ()
    assert "whole in A, average: holed has 3 undefined case numbers" in found.left_out


@pytest.mark.parametrize(("metric", "marks"), [("dice", ("*", "°")), ("hd95_mm", ("*", "°"))])
def test_a_significant_cell_says_whether_it_is_better_or_worse(
    metric: str, marks: tuple[str, str]
) -> None:
    runs = []
    for seed, shift in enumerate(SHIFTS):
        runs += [
            eight("base", (0.1,) * 8, seed),
            eight("better", tuple(0.1 + gain for gain in GAINS), seed, shift),
            eight("worse", tuple(0.1 - gain for gain in GAINS), seed, shift),
        ]
    spec = ReportSpec(columns="source", baseline="base", metric=metric)
    made = build_table(make_query(results(*runs), spec))
    assert [row.cells[-1].stars for row in made.rows] == ["", *marks]
    assert any("* better, ° worse than base" in line for line in made.caption)


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
        "upper_bound all_sites: an upper bound is not a competitor",
        "one seed: no test; a claim about a method needs 3 seeds in both rows",
    )


def test_an_incomplete_baseline_is_no_baseline_and_no_other_row_takes_its_place() -> None:
    half = plain(method="half")
    query = make_query(
        results(*plain(method="whole"), *half[:2], missing=half[2:]),
        ReportSpec(columns="source", baseline="half"),
    )
    assert table_statistics(query).rows == ()
    assert all(cell.stars == "" for row in build_table(query).rows for cell in row.cells)


def test_two_scans_of_a_patient_are_one_unit() -> None:
    def scanned_twice(method: str, gain: float, seed: int) -> TrackedRun:
        made = run(
            method, "A", {"B": tuple(0.3 + gain + 0.01 * (i // 2) for i in range(8))}, seed=seed
        )
        scores = tuple(s._replace(patient=f"p{int(s.case[1:]) - 1 >> 1}") for s in made.scores)
        return replace(made, scores=scores)

    runs = [scanned_twice(m, g, s) for s in range(3) for m, g in (("base", 0.0), ("other", 0.1))]
    query = make_query(results(*runs), ReportSpec(columns="source", baseline="base"))
    found = table_statistics(query)
    assert {row.n_patients for row in found.rows} == {4}
    assert len(patient_means([query.pools["base"]["A"]])) == 4


def test_columns_with_other_seeds_have_means_and_no_test_and_nothing_breaks() -> None:
    """Such as two sweeps in one report, of which one added seeds for a single site."""
    runs = [
        run(name, "A", {"B": (0.2 + gain, 0.4), "C": (0.3,)}, seed=seed)
        for seed in range(3)
        for name, gain in (("base", 0.0), ("other", 0.1))
    ]
    runs += [
        run(name, "B", {"A": (0.5,), "C": (0.1 + gain,)})
        for name, gain in (("base", 0.0), ("other", 0.2))
    ]
    query = make_query(results(*runs), ReportSpec(columns="source", baseline="base"))
    made, found = build_table(query), table_statistics(query)
    assert [row.mean for row in found.rows] == pytest.approx(
        [row.cells[-1].value for row in made.rows]
    )
    other = found.rows[1]
    assert other.delta == pytest.approx(made.rows[1].delta)
    assert (other.interval, other.delta_interval, other.test) == (None, None, None)
    assert any("different seeds in its columns: no test" in line for line in found.left_out)
    assert all(cell.stars == "" for row in made.rows for cell in row.cells)


def test_a_column_in_which_every_case_scores_zero_counts() -> None:
    runs = [run("zero", "A", {"B": (0.0, 0.0)}), run("zero", "C", {"B": (0.4, 0.6)})]
    query = make_query(results(*runs), ReportSpec(columns="source"))
    assert table_statistics(query).rows[0].mean == pytest.approx(25)
