"""The value of a cell: cases pooled or sites averaged, undefined values, missing seeds."""

from __future__ import annotations

import math

import pytest

from sweeper.config.report import ReportSpec
from sweeper.report.aggregate import average_cell, make_cell, mean_of
from sweeper.report.measurements import Measurement, Pool
from sweeper.report.table import Cell

SPEC = ReportSpec(columns="source")


def measured(group: str, *values: float) -> list[Measurement]:
    return [
        Measurement(group, (group, f"{group}{n}", "prostate"), (group, f"{group}{n}"), value)
        for n, value in enumerate(values)
    ]


def pool(*measurements: Measurement, planned: int = 1, done: int = 1) -> Pool:
    return Pool(numbers={"prostate": list(measurements)}, planned=planned, done=done)


def test_pooled_cases_and_averaged_sites_are_different_means() -> None:
    values = [*measured("B", 60, 60, 60), *measured("C", 20)]
    assert mean_of(values, "cases", skips_undefined=False) == 50
    assert mean_of(values, "sites", skips_undefined=False) == 40


def test_an_undefined_value_makes_the_mean_undefined_unless_it_is_skipped() -> None:
    values = measured("B", 60, math.nan, 80)
    for aggregate in ("cases", "sites"):
        assert math.isnan(mean_of(values, aggregate, skips_undefined=False))
        assert mean_of(values, aggregate, skips_undefined=True) == 70
    assert math.isnan(mean_of(measured("B", math.nan), "cases", skips_undefined=True))


def test_structures_have_equal_weights_whatever_their_number_of_cases() -> None:
    both = Pool(numbers={"a": measured("B", 90), "b": measured("B", 30, 30, 30)}, planned=1, done=1)
    cell, _ = make_cell({"0": both}, SPEC)
    assert (cell.value, cell.n_cases) == (60, 4)


def test_a_cell_has_mean_and_deviation_over_its_seeds() -> None:
    by_seed = {"0": pool(*measured("B", 40)), "1": pool(*measured("B", 60))}
    cell, values = make_cell(by_seed, SPEC)
    assert values == {"0": 40, "1": 60}
    assert (cell.value, cell.seeds_done, cell.seeds_planned) == (50, 2, 2)
    assert cell.deviation == pytest.approx(math.sqrt(200))


def test_a_missing_seed_leaves_a_cell_without_value_instead_of_a_mean_of_the_rest() -> None:
    unfinished = pool(*measured("B", 60), planned=2, done=1)
    cell, values = make_cell({"0": pool(*measured("B", 40)), "1": unfinished}, SPEC)
    assert (cell.value, cell.deviation, cell.seeds_done, cell.seeds_planned) == (None, None, 1, 2)
    assert values == {"0": 40}


def test_undefined_cases_are_counted() -> None:
    cell, _ = make_cell({"0": pool(*measured("B", 60, math.nan))}, SPEC)
    assert cell.n_undefined == 1
    assert cell.value is not None
    assert math.isnan(cell.value)


def test_an_average_has_a_value_only_if_every_cell_has_one() -> None:
    full, empty = Cell(value=40.0, seeds_done=1, seeds_planned=1), Cell(value=None)
    assert average_cell([full, full], [{"0": 40}, {"0": 40}]).value == 40
    assert average_cell([full, empty], [{"0": 40}, {}]).value is None
    assert average_cell([], []).value is None


def test_the_deviation_of_an_average_is_that_of_the_means_of_equal_seeds() -> None:
    cell = Cell(value=50.0, seeds_done=2, seeds_planned=2)
    first, opposite = {"0": 40.0, "1": 60.0}, {"0": 60.0, "1": 40.0}
    assert average_cell([cell, cell], [first, opposite]).deviation == 0
    assert average_cell([cell, cell], [first, {"0": 60.0, "2": 40.0}]).deviation is None
