from __future__ import annotations

import math

import numpy as np
import pytest
from hand_made import plain, results

from sweeper.config.report import ReportSpec
from sweeper.report.build import build_table
from sweeper.report.query import make_query
from sweeper.report.statistics import (
    Contributions,
    compare,
    contributions,
    holm,
    resample_counts,
    signed_rank,
    table_statistics,
)
from sweeper.report.statistics_table import statistics_table


def test_the_signed_rank_p_is_that_of_a_worked_example() -> None:
    # ranks of |d|: 1..6, the negative one has rank 2, so W- = 2. Sign patterns of 6 with
    # W- <= 2: {}, {1}, {2} = 3 of 64; two-sided p = 6 / 64
    p, smallest = signed_rank([1.0, -2.0, 3.0, 4.0, 5.0, 6.0])
    assert p == pytest.approx(6 / 64)
    assert smallest == 2 / 64


def test_five_pairs_cannot_reach_significance_and_say_so() -> None:
    p, smallest = signed_rank([1.0, 2.0, 3.0, 4.0, 5.0])
    assert p == smallest == 0.0625


def test_differences_of_zero_are_no_evidence() -> None:
    assert signed_rank([0.0, 0.0]) == (1.0, 1.0)
    assert signed_rank([0.0, 1.0, 2.0])[1] == 0.5


def test_holm_steps_down_and_never_decreases() -> None:
    # worked by hand: 0.01 x 3, max(0.03, 0.02 x 2), max(0.04, 0.03 x 1)
    assert holm([0.03, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@pytest.mark.parametrize("aggregate", ["cases", "sites"])
def test_the_patients_contributions_sum_to_the_tables_own_average(aggregate: str) -> None:
    query = make_query(
        results(*plain(seed=0), *plain(seed=1, gain=0.3)), ReportSpec(aggregate=aggregate)
    )
    parts = contributions(query.pools["unet"], aggregate)
    average = build_table(query).rows[0].cells[-1].value
    assert sum(parts.weighted.values()) == pytest.approx(average)
    # b1 under source A 60 and C 20, equal in both seeds
    assert parts.means["B", "b1", "prostate"] == pytest.approx(40)


def test_resampling_keeps_the_number_of_patients_of_every_site() -> None:
    units = [("A", "a1", "s"), ("A", "a2", "s"), ("B", "b1", "s"), ("B", "b1", "t")]
    counts = resample_counts(units, n_resamples=500)
    assert (counts[:, :2].sum(axis=1) == 2).all()
    assert (counts[:, 2] == 1).all()
    assert (counts[:, 2] == counts[:, 3]).all()
    assert np.unique(counts[:, 0]).tolist() == [0, 1, 2]


def rows(n: int, gain: float) -> dict[str, Contributions]:
    units = [("A", f"a{i}", "s") for i in range(n)]
    base = {u: 50.0 + i for i, u in enumerate(units)}
    better = {u: v + gain + 0.1 * i for i, (u, v) in enumerate(base.items())}
    return {
        name: Contributions({u: v / n for u, v in values.items()}, values)
        for name, values in (("base", base), ("better", better))
    }


def test_a_row_that_is_better_for_every_patient_is_first_in_all_resamples() -> None:
    found = compare(rows(12, 5.0), "base", is_higher_better=True)
    base, better = found.rows
    assert better.delta == pytest.approx(5.55)
    assert better.delta_interval is not None
    assert 5.0 <= better.delta_interval[0] <= 5.55 <= better.delta_interval[1] <= 6.1
    assert (base.first_share, better.first_share) == (0.0, 1.0)
    assert better.p == pytest.approx(2 / 2**12)
    assert better.stars == "***"


def test_stars_that_so_few_patients_cannot_reach_are_refused() -> None:
    found = compare(rows(5, 5.0), "base", is_higher_better=True)
    assert found.rows[1].stars == ""
    words = " ".join(statistics_table(found, "t").notes)
    assert "Smallest reachable p after correction: 0.0625" in words
    assert "***, **, *" in words


def test_lower_is_better_for_distances() -> None:
    found = compare(rows(6, 5.0), None, is_higher_better=False)
    assert found.baseline == "base"
    assert found.rows[0].first_share == 1.0


def test_patients_that_are_undefined_in_a_row_enter_no_comparison() -> None:
    made = rows(6, 5.0)
    made["better"].means["A", "a0", "s"] = math.nan
    assert {row.n_patients for row in compare(made, "base", is_higher_better=True).rows} == {5}


def test_incomplete_rows_are_left_out_by_name() -> None:
    runs = plain(method="half")
    query = make_query(results(*plain(method="whole"), *runs[:2], missing=runs[2:]), ReportSpec())
    found = table_statistics(query)
    assert [row.label for row in found.rows] == ["whole"]
    assert found.left_out == ("half: incomplete",)
