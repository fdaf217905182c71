"""A row's average taken apart by seed and patient."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from sweeper.report.measurements import Measurement, Pool

Patient = tuple[str, str]
"""(domain, patient)."""


def seeds_of(by_column: Mapping[str, Mapping[str, Pool]]) -> tuple[str, ...] | None:
    """The seeds of a row's cells, in order; None if its columns have different ones."""
    seeds = {tuple(sorted(by_seed)) for by_seed in by_column.values()}
    return seeds.pop() if len(seeds) == 1 else None


def defined_patients(rows: Sequence[Mapping[str, Mapping[str, Pool]]]) -> list[Patient]:
    """Patients whose every number is defined in every one of some rows, in order."""
    shared: set[Patient] | None = None
    for by_column in rows:
        is_defined: dict[Patient, bool] = defaultdict(lambda: True)
        for number in _numbers(by_column):
            is_defined[number.patient] &= math.isfinite(number.value)
        defined = {patient for patient, holds in is_defined.items() if holds}
        shared = defined if shared is None else shared & defined
    return sorted(shared or ())


def _numbers(by_column: Mapping[str, Mapping[str, Pool]]) -> list[Measurement]:
    return [
        number
        for by_seed in by_column.values()
        for pool in by_seed.values()
        for numbers in pool.numbers.values()
        for number in numbers
    ]


def contributions(
    by_column: Mapping[str, Mapping[str, Pool]],
    aggregate: str,
    patients: Sequence[Patient],
) -> NDArray[np.float64]:
    """What each patient adds to a row's average under each seed: `(seeds, patients)`.

    Where the columns have different seeds, a seed has no average of its own: then one line, of the
    means over each column's seeds, from which no spread over seeds can be taken.

    Within a site the number of patients is fixed when they are resampled, so that a seed's average
    is a weighted sum over patients, under either aggregator: the sum of a line is the table's own
    average of that seed over those patients. Columns without any of the patients (a site's own
    column, when only its patients are asked for) take no part.

    Args:
        by_column: A row's cells, by column and seed.
        aggregate: `cases` or `sites`.
        patients: The patients, in order.
    """
    places = {patient: i for i, patient in enumerate(patients)}
    cells = [
        [_kept(by_seed[seed], places) for seed in sorted(by_seed)] for by_seed in by_column.values()
    ]
    columns = [_by_seed(cell, aggregate, places) for cell in cells if any(cell)]
    if seeds_of(by_column) is None:
        columns = [values.mean(axis=0, keepdims=True) for values in columns]
    mean: NDArray[np.float64] = np.mean(columns, axis=0)
    return mean


def _by_seed(
    cell: Sequence[Sequence[Sequence[Measurement]]],
    aggregate: str,
    places: Mapping[Patient, int],
) -> NDArray[np.float64]:
    """What each patient adds to a cell: `(seeds, patients)`, from measurements by structure."""
    values = np.zeros((len(cell), len(places)))
    for line, structures in enumerate(cell):
        for numbers in structures:
            for number, weight in zip(numbers, _weights(numbers, aggregate), strict=True):
                share = weight / len(structures)
                values[line, places[number.patient]] += share * number.value
    return values


def _kept(pool: Pool, patients: Collection[Patient]) -> list[list[Measurement]]:
    """By structure the measurements of some patients."""
    structures = [
        [number for number in numbers if number.patient in patients]
        for numbers in pool.numbers.values()
    ]
    return [numbers for numbers in structures if numbers]


def _weights(numbers: Sequence[Measurement], aggregate: str) -> list[float]:
    if aggregate == "cases":
        return [1.0 / len(numbers)] * len(numbers)
    counts: dict[str, int] = defaultdict(int)
    for number in numbers:
        counts[number.group] += 1
    return [1.0 / (len(counts) * counts[number.group]) for number in numbers]
