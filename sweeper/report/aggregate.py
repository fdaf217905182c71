"""Aggregates pooled measurements to the value of a cell."""

from __future__ import annotations

import math
from collections import defaultdict
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from sweeper.report.table import Cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeper.config.report import Aggregate, ReportSpec
    from sweeper.report.measurements import Measurement, Pool


def seed_value(pool: Pool, aggregate: Aggregate, *, skips_undefined: bool) -> float:
    """A cell's value for one seed: the plain mean over its structures; nan if undefined."""
    values = [
        mean_of(measurements, aggregate, skips_undefined=skips_undefined)
        for measurements in pool.numbers.values()
    ]
    return fmean(values) if values else math.nan


def mean_of(
    measurements: Sequence[Measurement], aggregate: Aggregate, *, skips_undefined: bool
) -> float:
    """The mean over pooled cases, or over the means of their groups; nan if any is undefined."""
    if skips_undefined:
        measurements = [m for m in measurements if not math.isnan(m.value)]
    if not measurements:
        return math.nan
    if aggregate == "cases":
        return fmean(measurement.value for measurement in measurements)
    groups: dict[str, list[float]] = defaultdict(list)
    for measurement in measurements:
        groups[measurement.group].append(measurement.value)
    return fmean(fmean(values) for values in groups.values())


def make_cell(by_seed: Mapping[str, Pool], spec: ReportSpec) -> tuple[Cell, dict[str, float]]:
    """A cell, and its value by seed; it has a value only if every planned seed is finished."""
    skips = spec.undefined == "skip"
    finished = {seed: pool for seed, pool in by_seed.items() if pool.done == pool.planned}
    values = {
        seed: seed_value(pool, spec.aggregate, skips_undefined=skips)
        for seed, pool in finished.items()
    }
    counts = [sum(map(len, pool.numbers.values())) for pool in finished.values()]
    undefined = sum(
        math.isnan(measurement.value)
        for pool in finished.values()
        for measurements in pool.numbers.values()
        for measurement in measurements
    )
    cell = Cell(
        value=fmean(values.values()) if values and len(finished) == len(by_seed) else None,
        deviation=_deviation(list(values.values())) if len(finished) == len(by_seed) else None,
        seeds_done=len(finished),
        seeds_planned=len(by_seed),
        n_cases=max(counts, default=0),
        n_undefined=undefined,
    )
    return cell, values


def average_cell(cells: Sequence[Cell], by_seed: Sequence[Mapping[str, float]]) -> Cell:
    """The plain mean of a row's cells; it has a value only if all of them have one.

    Its deviation is that of the seeds' means, and needs the same seeds in every cell.
    """
    seeds = set.intersection(*(set(values) for values in by_seed)) if by_seed else set()
    has_all = bool(cells) and all(cell.value is not None for cell in cells)
    same_seeds = has_all and all(set(values) == seeds for values in by_seed)
    means = [fmean(values[seed] for values in by_seed) for seed in sorted(seeds)]
    return Cell(
        value=fmean(cell.value for cell in cells if cell.value is not None) if has_all else None,
        deviation=_deviation(means) if same_seeds else None,
        seeds_done=min((cell.seeds_done for cell in cells if cell.seeds_planned), default=0),
        seeds_planned=max((cell.seeds_planned for cell in cells), default=0),
        n_cases=sum(cell.n_cases for cell in cells),
        n_undefined=sum(cell.n_undefined for cell in cells),
    )


def _deviation(values: Sequence[float]) -> float | None:
    """Standard deviation over seeds; None with fewer than two, or with an undefined one."""
    is_defined = len(values) > 1 and not any(map(math.isnan, values))
    return stdev(values) if is_defined else None
