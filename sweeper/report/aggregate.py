"""From pooled measurements to the number a cell prints."""

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
    """One seed's number of a cell: the plain mean over its structures; nan where undefined."""
    values = [
        mean_of(numbers, aggregate, skips_undefined=skips_undefined)
        for numbers in pool.numbers.values()
    ]
    return fmean(values) if values else math.nan


def mean_of(
    numbers: Sequence[Measurement], aggregate: Aggregate, *, skips_undefined: bool
) -> float:
    """The mean over cases pooled, or over the means of their groups; nan if any is undefined."""
    if skips_undefined:
        numbers = [number for number in numbers if not math.isnan(number.value)]
    if not numbers:
        return math.nan
    if aggregate == "cases":
        return fmean(number.value for number in numbers)
    groups: dict[str, list[float]] = defaultdict(list)
    for number in numbers:
        groups[number.group].append(number.value)
    return fmean(fmean(values) for values in groups.values())


def make_cell(by_seed: Mapping[str, Pool], spec: ReportSpec) -> tuple[Cell, dict[str, float]]:
    """A cell, and its value by seed; without a value unless every planned seed is there."""
    skips = spec.undefined == "skip"
    finished = {seed: pool for seed, pool in by_seed.items() if pool.done == pool.planned}
    values = {
        seed: seed_value(pool, spec.aggregate, skips_undefined=skips)
        for seed, pool in finished.items()
    }
    counts = [sum(map(len, pool.numbers.values())) for pool in finished.values()]
    undefined = sum(
        math.isnan(number.value)
        for pool in finished.values()
        for numbers in pool.numbers.values()
        for number in numbers
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
    """The plain mean of a row's cells; without a value if one of them has none.

    Its deviation is that of the seeds' own means, and so needs the same seeds in every cell.
    """
    seeds = set.intersection(*(set(values) for values in by_seed)) if by_seed else set()
    is_whole = bool(cells) and all(cell.value is not None for cell in cells)
    same_seeds = is_whole and all(set(values) == seeds for values in by_seed)
    means = [fmean(values[seed] for values in by_seed) for seed in sorted(seeds)]
    return Cell(
        value=fmean(cell.value for cell in cells if cell.value is not None) if is_whole else None,
        deviation=_deviation(means) if same_seeds else None,
        seeds_done=min((cell.seeds_done for cell in cells if cell.seeds_planned), default=0),
        seeds_planned=max((cell.seeds_planned for cell in cells), default=0),
        n_cases=sum(cell.n_cases for cell in cells),
        n_undefined=sum(cell.n_undefined for cell in cells),
    )


def _deviation(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None
