"""Statistics that fit few patients: bootstrap intervals and stability of ranks beside the tests.

Intervals resample patients within their sites, for all rows alike. A case's numbers under several
sources and structures are one patient's, so they move with that patient.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sweeper.report.statistics.significance import (
    AVERAGE_COLUMN,
    PairedTest,
    TableTests,
    patient_means,
    reach_note,
    table_tests,
    testable_rows,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from sweeper.report.measurements import Measurement, Pool
    from sweeper.report.query import Query
    from sweeper.report.statistics.significance import Patient

N_RESAMPLES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One row against the baseline row, over some patients.

    Attributes:
        label: The row.
        n_patients: Patients whose numbers are defined in every row.
        mean: The table's own average over those patients.
        interval: 95 % bootstrap interval of `mean`.
        delta: Difference to the baseline's mean; None for the baseline.
        delta_interval: 95 % bootstrap interval of `delta`.
        first_share: Share of resamples in which the row is the best.
        test: The paired test of the average; None for the baseline.
    """

    label: str
    n_patients: int
    mean: float
    interval: tuple[float, float]
    delta: float | None
    delta_interval: tuple[float, float] | None
    first_share: float
    test: PairedTest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The statistics of a table.

    Attributes:
        baseline: Row that the others are compared with; empty if no row can be compared.
        rows: One a complete row.
        left_out: Rows without statistics, with the reason.
        n_tests: Tests that Holm's correction is over.
        reach: What p can be reached, in words.
    """

    baseline: str
    rows: tuple[Comparison, ...]
    left_out: tuple[str, ...]
    n_tests: int
    reach: str


def table_statistics(query: Query, baseline: str | None = None) -> Statistics:
    """Statistics of a query's table against a row, by default the spec's, or the best one."""
    usable, left_out = testable_rows(query)
    patients = defined_patients(query, usable)
    named = baseline or query.spec.baseline
    if not usable or not patients:
        reasons = (*left_out, *(["no patient is in every row"] if usable else []))
        return Statistics(baseline=named or "", rows=(), left_out=reasons, n_tests=0, reach="")
    tests = table_tests(query, named or best_row(query, usable, patients))
    if tests.baseline not in usable:
        return Statistics(baseline=tests.baseline, rows=(), left_out=left_out, n_tests=0, reach="")
    rows = compare_rows(query, usable, tests.baseline, patients, tests)
    return Statistics(
        baseline=tests.baseline,
        rows=rows,
        left_out=left_out,
        n_tests=len(tests.tests),
        reach=reach_note(tests),
    )


def defined_patients(query: Query, labels: Sequence[str]) -> list[Patient]:
    """Patients with a defined number in every row, in order."""
    means = [patient_means(list(query.averaged(label).values())) for label in labels]
    if not means:
        return []
    return sorted(
        patient
        for patient in set.intersection(*(set(found) for found in means))
        if all(math.isfinite(found[patient]) for found in means)
    )


def best_row(query: Query, labels: Sequence[str], patients: Collection[Patient]) -> str:
    """The row with the best average over some patients."""
    goodness = query.metric.goodness
    return max(labels, key=lambda label: goodness(sum(_weighted(query, label, patients).values())))


def compare_rows(
    query: Query,
    labels: Sequence[str],
    baseline: str,
    patients: Sequence[Patient],
    tests: TableTests | None = None,
) -> tuple[Comparison, ...]:
    """Rows against one of them, over some patients."""
    parts = [_weighted(query, label, patients) for label in labels]
    weighted = np.array([[part[patient] for part in parts] for patient in patients])
    return compare(
        labels,
        baseline,
        patients,
        weighted,
        query.metric.is_higher_better,
        tests.tests if tests else {},
    )


def _weighted(query: Query, label: str, patients: Collection[Patient]) -> dict[Patient, float]:
    return contributions(query.averaged(label), query.spec.aggregate, frozenset(patients))


def contributions(
    by_column: Mapping[str, Mapping[str, Pool]],
    aggregate: str,
    patients: frozenset[Patient] | None = None,
) -> dict[Patient, float]:
    """A row's average over some patients taken apart by patient: their sum is the average.

    Within a site the number of patients is fixed when they are resampled, so that the average is
    a weighted sum over patients, under either aggregator. Columns without any of the patients
    (a site's own column, when only its patients are asked for) take no part.
    """
    weighted: dict[Patient, float] = defaultdict(float)
    kept = [_kept(by_seed, patients) for by_seed in by_column.values()]
    kept = [seeds for seeds in kept if seeds]
    for seeds in kept:
        for structures in seeds:
            share = 1.0 / (len(kept) * len(seeds) * len(structures))
            for numbers in structures:
                for number, weight in zip(numbers, _weights(numbers, aggregate), strict=True):
                    patient = (number.case[0], number.case[1])
                    weighted[patient] += share * weight * number.value
    return dict(weighted)


def _kept(
    by_seed: Mapping[str, Pool], patients: frozenset[Patient] | None
) -> list[list[Sequence[Measurement]]]:
    """By seed and structure the measurements of some patients; nothing where there are none."""
    found = []
    for pool in by_seed.values():
        structures: list[Sequence[Measurement]] = [
            numbers
            if patients is None
            else [number for number in numbers if number.case[:2] in patients]
            for numbers in pool.numbers.values()
        ]
        structures = [numbers for numbers in structures if numbers]
        if structures:
            found.append(structures)
    return found


def _weights(numbers: Sequence[Measurement], aggregate: str) -> list[float]:
    if aggregate == "cases":
        return [1.0 / len(numbers)] * len(numbers)
    counts: dict[str, int] = defaultdict(int)
    for number in numbers:
        counts[number.group] += 1
    return [1.0 / (len(counts) * counts[number.group]) for number in numbers]


def compare(
    labels: Sequence[str],
    baseline: str,
    patients: Sequence[Patient],
    weighted: NDArray[np.float64],
    is_higher_better: bool,
    tests: Mapping[tuple[str, str], PairedTest] | None = None,
) -> tuple[Comparison, ...]:
    """Rows against one of them.

    Args:
        labels: Names of the rows.
        baseline: One of them.
        patients: What is resampled.
        weighted: `(patients, rows)`, what each patient adds to a row's average.
        is_higher_better: True for Dice.
        tests: Paired tests by (row, column), if any.
    """
    sampled = resample_counts(patients) @ weighted
    first = _first_shares(sampled if is_higher_better else -sampled)
    totals, base = weighted.sum(axis=0), list(labels).index(baseline)
    return tuple(
        Comparison(
            label=label,
            n_patients=len(patients),
            mean=float(totals[i]),
            interval=_interval(sampled[:, i]),
            delta=None if i == base else float(totals[i] - totals[base]),
            delta_interval=None if i == base else _interval(sampled[:, i] - sampled[:, base]),
            first_share=float(first[i]),
            test=(tests or {}).get((label, AVERAGE_COLUMN)),
        )
        for i, label in enumerate(labels)
    )


def resample_counts(
    patients: Sequence[Patient], *, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> NDArray[np.float64]:
    """How often each patient is drawn: `(n_resamples, len(patients))`, drawn within sites."""
    generator = np.random.default_rng(seed)
    counts = np.zeros((n_resamples, len(patients)))
    sites: dict[str, list[int]] = defaultdict(list)
    for i, (site, _) in enumerate(patients):
        sites[site].append(i)
    for positions in sites.values():
        n = len(positions)
        counts[:, positions] = generator.multinomial(n, [1.0 / n] * n, size=n_resamples)
    return counts


def _first_shares(sampled: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of resamples in which each row is best; rows that tie share the resample."""
    is_best = sampled == sampled.max(axis=1, keepdims=True)
    shares: NDArray[np.float64] = is_best / is_best.sum(axis=1, keepdims=True)
    mean: NDArray[np.float64] = shares.mean(axis=0)
    return mean


def _interval(sampled: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(sampled, (2.5, 97.5))
    return float(low), float(high)
