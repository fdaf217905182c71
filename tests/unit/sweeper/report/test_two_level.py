"""What the uncertainty over seeds and patients promises, by hand and by simulation."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from sweeper.report.statistics.significance import LEVELS
from sweeper.report.statistics.two_level import (
    resample,
    two_level,
    two_level_difference,
)

PROSTATE = (30, 19, 13, 12, 12)
"""Patients of five target sites when the sixth, of 30, is the source."""
ONE_SITE = (12,)
SMALL = (5, 4)


def sites_of(sizes: tuple[int, ...]) -> list[str]:
    return [chr(ord("A") + i) for i, n in enumerate(sizes) for _ in range(n)]


def null(
    rng: np.random.Generator, n_seeds: int, sizes: tuple[int, ...], seed_sd: float
) -> np.ndarray:
    """Differences of a method to itself: seeds, patients and both together, in points / n."""
    n = sum(sizes)
    by_patient = rng.normal(0, 1, n)
    by_seed = rng.normal(0, seed_sd / math.sqrt(n), (n_seeds, 1))
    return (by_seed + by_patient + rng.normal(0, 0.5, (n_seeds, n))) / n


def test_two_seeds_of_two_patients_by_hand() -> None:
    # three seeds with sums 1, 2, 3: variance 1, of the mean 1/3. Patients' means over seeds
    # 0.5 and 1.5: variance 0.5, of the sum of two 2 x 0.5
    values = np.array([[0.0, 1.0], [0.5, 1.5], [1.0, 2.0]])
    made = two_level(values, ["A", "A"])
    assert made.estimate == pytest.approx(2)
    assert made.seed_variance == pytest.approx(1 / 3)
    assert made.patient_variance == pytest.approx(1)
    assert (made.seed_freedom, made.patient_freedom) == (2, 1)
    # Student's 97.5 % quantiles: 4.3027 on 2 degrees of freedom, 12.7062 on 1
    half = math.sqrt(4.3027**2 / 3 + 12.7062**2)
    assert made.interval() == pytest.approx((2 - half, 2 + half), rel=1e-4)


def test_without_spread_of_seeds_it_is_students_test_over_patients() -> None:
    values = np.array([[1.0, 2.0, 3.0, 6.0]] * 3) / 4
    made = two_level(values, ["A"] * 4)
    assert made.p() == pytest.approx(stats.ttest_1samp([1, 2, 3, 6], 0).pvalue)


def test_without_spread_of_patients_it_is_students_test_over_seeds() -> None:
    values = np.array([[1.0], [2.0], [6.0]]) * np.array([[0.5, 0.5]])
    assert two_level(values, ["A", "A"]).p() == pytest.approx(
        stats.ttest_1samp([1, 2, 6], 0).pvalue
    )


@pytest.mark.parametrize("level", [0.05, 0.01, 0.001])
def test_p_is_the_level_whose_interval_touches_zero(level: float) -> None:
    values = null(np.random.default_rng(3), 4, SMALL, 1.0)
    low, high = two_level(values, sites_of(SMALL)).interval(level)
    shifted = two_level(values + (high - low) / 2 / 9 - values.sum(axis=1).mean() / 9, ["A"] * 9)
    assert shifted.estimate == pytest.approx((high - low) / 2)
    same_sites = two_level(
        values + ((high - low) / 2 - values.sum(axis=1).mean()) / 9, sites_of(SMALL)
    )
    assert same_sites.p() == pytest.approx(level, rel=1e-6)


@pytest.mark.parametrize("n_seeds", [1, 2])
def test_fewer_than_three_seeds_claim_nothing(n_seeds: int) -> None:
    made = two_level(np.ones((n_seeds, 12)), ["A"] * 12)
    assert made.interval() is None
    assert made.p() is None
    assert made.estimate == 12


def test_a_site_with_one_patient_is_joined_with_another_and_never_counts_as_certain() -> None:
    values = np.array([[0.0, 2.0, 10.0]] * 3)
    alone = two_level(values, ["A", "A", "B"])
    assert alone.patient_variance == pytest.approx(3 * np.var([0, 2, 10], ddof=1))
    assert two_level(values[:, 2:], ["B"]).interval() is None
    two_alone = two_level(values[:, 1:], ["A", "B"])
    assert two_alone.patient_variance == pytest.approx(2 * np.var([2, 10], ddof=1))


def test_sides_without_common_seeds_add_their_seeds_variances() -> None:
    values, base = np.array([[1.0, 2.0], [3.0, 2.0], [2.0, 5.0]]), np.array([[1.0, 1.0]] * 5)
    made = two_level_difference(values, base, ["A", "A"])
    assert made.estimate == pytest.approx(5 - 2)
    assert made.seed_variance == pytest.approx(np.var([3, 5, 7], ddof=1) / 3)
    assert made.seed_freedom == 2


def test_resampling_draws_seeds_and_patients_within_their_sites() -> None:
    # a patient's share tells who was drawn: seed 0 counts 1, seed 1 counts 100
    values = np.array([[[1.0, 1.0, 0.0], [100.0, 100.0, 0.0]]])
    drawn = np.unique(resample(values, ["A", "A", "B"], n_resamples=200)[:, 0])
    # B's only patient is in every draw, so A always has its two: both of seed 0, one of each, ...
    assert drawn.tolist() == [2.0, 101.0, 200.0]


CASES = list(product((3, 5, 10), (PROSTATE, ONE_SITE, SMALL)))
_REPETITIONS = 1000


@pytest.mark.parametrize(("n_seeds", "sizes"), CASES)
@pytest.mark.parametrize("seed_sd", [0.0, 1.0, 4.0])
def test_a_method_against_itself_gets_no_more_stars_than_the_level(
    n_seeds: int, sizes: tuple[int, ...], seed_sd: float
) -> None:
    rng, sites = np.random.default_rng([n_seeds, len(sizes), int(seed_sd)]), sites_of(sizes)
    made = [two_level(null(rng, n_seeds, sizes, seed_sd), sites) for _ in range(_REPETITIONS)]
    for level in LEVELS:
        false = sum(not low <= 0 <= high for low, high in (one.interval(level) for one in made))
        # what chance allows of a test that holds its level exactly
        assert false <= stats.binom.ppf(0.999, _REPETITIONS, level), level


def test_percentiles_of_the_same_resampling_would_not_hold_it() -> None:
    """Why the intervals are not percentiles: with three seeds these are far too narrow."""
    rng, sites = np.random.default_rng(0), sites_of(ONE_SITE)
    false = 0
    for _ in range(200):
        drawn = resample(null(rng, 3, ONE_SITE, 4.0)[None], sites, n_resamples=400)[:, 0]
        low, high = np.percentile(drawn, (2.5, 97.5))
        false += not low <= 0 <= high
    assert false > stats.binom.ppf(0.999, 200, 0.10)


def test_a_difference_that_is_there_is_found() -> None:
    rng, sites = np.random.default_rng(1), sites_of(PROSTATE)
    p_values = [
        two_level(null(rng, 3, PROSTATE, 1.0) + 0.7 / len(sites), sites).p() for _ in range(200)
    ]
    assert sum(p <= 0.05 for p in p_values) > 100


@pytest.mark.parametrize("sizes", [(4,), (5,)])
def test_intervals_of_four_and_five_patients_cover(sizes: tuple[int, ...]) -> None:
    """A percentile bootstrap over so few patients covers 80 to 85 % instead of 95 %."""
    rng, sites = np.random.default_rng(2), sites_of(sizes)
    covered = 0
    for _ in range(_REPETITIONS):
        low, high = two_level(null(rng, 3, sizes, 1.0), sites).interval()
        covered += low <= 0 <= high
    assert covered >= stats.binom.ppf(0.001, _REPETITIONS, 0.95)
