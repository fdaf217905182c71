"""The test behind `sweeper verify` on another machine: its level, its power, its edges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sweeper.report.statistics.agreement import LEVEL, seed_spread


def test_the_spread_is_pooled_within_cells_whatever_their_means():
    spread = seed_spread([[70.0, 72.0], [10.0, 12.0, 14.0], [50.0], [math.nan, 3.0]])
    assert spread.freedom == 1 + 2
    assert spread.deviation == pytest.approx(math.sqrt((2 * 1.0 + 4.0 + 4.0) / 3))
    assert seed_spread([[1.0], [2.0, math.nan]]) is None


def test_seeds_that_differ_in_nothing_allow_no_difference():
    assert seed_spread([[5.0, 5.0], [1.0, 1.0]]).limit(3) == 0.0


@pytest.mark.parametrize("n_seeds", [2, 3, 5])
def test_repetitions_as_different_as_seeds_are_rarely_called_different(n_seeds):
    draw = np.random.default_rng(0)
    n_runs, n_cells, n_compared = 1000, 4, 3
    values = draw.normal(70.0, 2.0, (n_runs, n_cells, n_seeds))
    repeated = draw.normal(70.0, 2.0, (n_runs, n_compared))
    alarms = 0
    for cells, again in zip(values, repeated, strict=True):
        limit = seed_spread(cells.tolist()).limit(n_compared)
        alarms += np.abs(cells[:n_compared, 0] - again).max() > limit
    assert alarms / n_runs <= LEVEL + 0.015  # two standard errors of 1,000 runs


def test_a_repetition_far_outside_the_spread_is_called_different():
    draw = np.random.default_rng(1)
    missed = sum(
        seed_spread(draw.normal(0.0, 1.0, (6, 3)).tolist()).limit(3) > 10.0 for _ in range(200)
    )
    assert missed == 0
