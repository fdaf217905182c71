"""Statistics that fit few patients: paired tests, bootstrap intervals, stability of ranks.

The unit is the patient, averaged over seeds. Tests pair patients between rows; intervals resample
patients within their sites, for all rows alike. A case's number under several sources is one
patient's, so it moves with that patient.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from sweeper.report.measurements import Measurement, Pool
    from sweeper.report.query import Query

N_RESAMPLES = 10_000
LEVELS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))

Unit = tuple[str, str, str]
"""(domain, case, structure)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowStatistics:
    """One row against the baseline row, over all columns of the table.

    Attributes:
        label: The row.
        n_patients: Patients whose numbers are defined in both rows.
        mean: The table's own average over those patients.
        interval: 95 % bootstrap interval of `mean`.
        delta: Difference to the baseline's mean; None for the baseline.
        delta_interval: 95 % bootstrap interval of `delta`.
        p: Two-sided Wilcoxon signed-rank p; None for the baseline.
        p_holm: `p` with Holm's correction within the table.
        smallest_p: The smallest `p_holm` that so many patients and rows can reach.
        stars: `*` .05, `**` .01, `***` .001, on `p_holm`.
        first_share: Share of resamples in which the row is the best.
    """

    label: str
    n_patients: int
    mean: float
    interval: tuple[float, float]
    delta: float | None
    delta_interval: tuple[float, float] | None
    p: float | None
    p_holm: float | None
    smallest_p: float | None
    stars: str
    first_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The statistics of a table.

    Attributes:
        baseline: Row that the others are compared with.
        rows: One a complete row.
        left_out: Rows without statistics, with the reason.
    """

    baseline: str
    rows: tuple[RowStatistics, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Contributions:
    """What each patient adds to a row's average, and the patient's own mean.

    Attributes:
        weighted: By unit; their sum is the table's average.
        means: By unit, the plain mean over columns and seeds.
    """

    weighted: dict[Unit, float]
    means: dict[Unit, float]


def contributions(by_column: Mapping[str, Mapping[str, Pool]], aggregate: str) -> Contributions:
    """A row's average taken apart by patient.

    Within a site the number of patients is fixed when they are resampled, so that the average is
    a weighted sum over patients, under either aggregator.
    """
    weighted: dict[Unit, float] = defaultdict(float)
    values: dict[Unit, list[float]] = defaultdict(list)
    for by_seed in by_column.values():
        for pool in by_seed.values():
            share = 1.0 / (len(by_column) * len(by_seed) * max(1, len(pool.numbers)))
            for numbers in pool.numbers.values():
                for number, weight in zip(numbers, _weights(numbers, aggregate), strict=True):
                    weighted[number.case] += share * weight * number.value
                    values[number.case].append(number.value)
    return Contributions(
        dict(weighted), {unit: float(np.mean(found)) for unit, found in values.items()}
    )


def _weights(numbers: Sequence[Measurement], aggregate: str) -> list[float]:
    if aggregate == "cases":
        return [1.0 / len(numbers)] * len(numbers)
    counts: dict[str, int] = defaultdict(int)
    for number in numbers:
        counts[number.group] += 1
    return [1.0 / (len(counts) * counts[number.group]) for number in numbers]


def table_statistics(query: Query, baseline: str | None = None) -> Statistics:
    """Statistics of a query's table against a row, by default the spec's, or the best one."""
    found: dict[str, Contributions] = {}
    left_out = []
    for label, by_column in query.pools.items():
        is_whole = all(p.done == p.planned for seeds in by_column.values() for p in seeds.values())
        parts = contributions(by_column, query.spec.aggregate)
        if not is_whole or not parts.means:
            left_out.append(f"{label}: incomplete")
        else:
            found[label] = parts
    return compare(
        found, baseline or query.spec.baseline, query.spec.metric == "dice", tuple(left_out)
    )


def compare(
    rows: Mapping[str, Contributions],
    baseline: str | None,
    is_higher_better: bool,
    left_out: tuple[str, ...] = (),
) -> Statistics:
    """All rows against one, on the patients that are defined in every row."""
    if not rows:
        return Statistics(baseline=baseline or "", rows=(), left_out=left_out)
    units = sorted(
        unit
        for unit in set.intersection(*(set(parts.means) for parts in rows.values()))
        if all(math.isfinite(parts.means[unit]) for parts in rows.values())
    )
    labels = list(rows)
    if not units:
        return Statistics(
            baseline=baseline or "", rows=(), left_out=(*left_out, "no patient is in every row")
        )
    weighted = np.array([[parts.weighted[u] for parts in rows.values()] for u in units])
    sampled = resample_counts(units) @ weighted
    sign = 1.0 if is_higher_better else -1.0
    totals = weighted.sum(axis=0)
    base = _baseline(labels, baseline, sign * totals)
    tests = {
        label: signed_rank([rows[label].means[u] - rows[labels[base]].means[u] for u in units])
        for i, label in enumerate(labels)
        if i != base
    }
    adjusted = dict(zip(tests, holm([p for p, _ in tests.values()]), strict=True))
    first = _first_shares(sign * sampled)
    return Statistics(
        baseline=labels[base],
        left_out=left_out,
        rows=tuple(
            _row(label, i, base, totals, sampled, tests, adjusted, len(units), float(first[i]))
            for i, label in enumerate(labels)
        ),
    )


def _row(
    label: str,
    i: int,
    base: int,
    totals: NDArray[np.float64],
    sampled: NDArray[np.float64],
    tests: Mapping[str, tuple[float, float]],
    adjusted: Mapping[str, float],
    n_patients: int,
    first_share: float,
) -> RowStatistics:
    is_base = i == base
    smallest = None if is_base else min(1.0, tests[label][1] * len(tests))
    p_holm = None if is_base else adjusted[label]
    return RowStatistics(
        label=label,
        n_patients=n_patients,
        mean=float(totals[i]),
        interval=_interval(sampled[:, i]),
        delta=None if is_base else float(totals[i] - totals[base]),
        delta_interval=None if is_base else _interval(sampled[:, i] - sampled[:, base]),
        p=None if is_base else tests[label][0],
        p_holm=p_holm,
        smallest_p=smallest,
        stars="" if p_holm is None else next((s for lv, s in LEVELS if p_holm <= lv), ""),
        first_share=first_share,
    )


def _baseline(labels: Sequence[str], name: str | None, merit: NDArray[np.float64]) -> int:
    matches = [i for i, label in enumerate(labels) if name and label.startswith(name)]
    return matches[0] if matches else int(merit.argmax())


def signed_rank(differences: Sequence[float]) -> tuple[float, float]:
    """Two-sided Wilcoxon signed-rank p, and the smallest p that so many differences can reach.

    Zero differences are left out, as Wilcoxon did; with none left both are 1.
    """
    nonzero = [d for d in differences if d != 0.0]
    if not nonzero:
        return 1.0, 1.0
    p = float(stats.wilcoxon(nonzero).pvalue)
    return p, min(1.0, 2.0 ** (1 - len(nonzero)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction, in the order given."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [1.0] * len(p_values)
    running = 0.0
    for rank, i in enumerate(order):
        running = max(running, (len(p_values) - rank) * p_values[i])
        adjusted[i] = min(1.0, running)
    return adjusted


def resample_counts(
    units: Sequence[Unit], *, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> NDArray[np.float64]:
    """How often each patient is drawn: `(n_resamples, len(units))`, drawn within sites.

    A patient's structures are drawn together.
    """
    generator = np.random.default_rng(seed)
    counts = np.zeros((n_resamples, len(units)))
    sites: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, (site, case, _) in enumerate(units):
        sites[site][case].append(i)
    for patients in sites.values():
        n = len(patients)
        drawn = generator.multinomial(n, [1.0 / n] * n, size=n_resamples)
        for column, columns in enumerate(patients.values()):
            counts[:, columns] = drawn[:, [column]]
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
