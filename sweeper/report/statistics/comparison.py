"""A table's rows against one of them: means, differences, intervals, ranks.

A case's numbers under several sources and structures are one patient's, so they move with that
patient; seeds are resampled beside the patients. Rows with fewer than three seeds have means and
differences, and no interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sweeper.report.statistics.contributions import contributions, defined_patients, seeds_of
from sweeper.report.statistics.significance import (
    AVERAGE_COLUMN,
    MethodTest,
    difference,
    holm,
    incomparable,
    table_tests,
    testable_rows,
    too_few_seeds,
    undefined_numbers,
)
from sweeper.report.statistics.two_level import resample, two_level
from sweeper.report.statistics.wilcoxon import patient_means, signed_rank

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from sweeper.report.query import Query
    from sweeper.report.statistics.contributions import Patient

N_RESAMPLES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One row against the baseline row, over some patients.

    Attributes:
        label: The row.
        n_patients: Patients whose numbers are defined in every row.
        n_seeds: Seeds of the row.
        mean: The table's own average over those patients.
        interval: 95 % interval of `mean` over seeds and patients; None with too few of either.
        delta: Difference to the baseline's mean; None for the baseline.
        delta_interval: 95 % interval of `delta`; None with too few seeds or patients.
        first_share: Share of two-level resamples in which the row is the best; None where some row
            has too few seeds, the rows have different ones, or there is one row.
        test: The test of the average; None for the baseline and with too few seeds.
        wilcoxon_p: Wilcoxon's signed-rank p over patients, with Holm's correction over the rows: of
            these trained networks only; None for the baseline.
    """

    label: str
    n_patients: int
    n_seeds: int
    mean: float
    interval: tuple[float, float] | None
    delta: float | None = None
    delta_interval: tuple[float, float] | None = None
    first_share: float | None = None
    test: MethodTest | None = None
    wilcoxon_p: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The statistics of a table.

    Attributes:
        baseline: Row that the others are compared with; empty if no row can be compared.
        rows: One per complete row whose average is defined and of the baseline's cases.
        left_out: What has no statistics or no test, with the reason.
        n_tests: Tests that Holm's correction is over.
    """

    baseline: str
    rows: tuple[Comparison, ...]
    left_out: tuple[str, ...]
    n_tests: int


def table_statistics(query: Query, baseline: str | None = None) -> Statistics:
    """Statistics of a query's table against a row, by default the spec's, or the best one."""
    usable, left_out = testable_rows(query)
    named = baseline or query.spec.baseline
    if not usable:
        return Statistics(baseline=named or "", rows=(), left_out=left_out, n_tests=0)
    tests = table_tests(query, named or _best_row(query, usable))
    if tests.baseline not in usable:
        return Statistics(baseline=tests.baseline, rows=(), left_out=left_out, n_tests=0)
    reasons = {label: incomparable(query, label, tests.baseline) for label in usable}
    comparable = [label for label, reason in reasons.items() if reason is None]
    patients = defined_patients([query.averaged(label) for label in comparable])
    left_out = (*tests.left_out, *([tests.refused] if tests.refused else []))
    left_out += tuple(
        f"{label}: {reason}"
        for label, reason in reasons.items()
        if reason is not None and not any(line.startswith(f"{label} in ") for line in left_out)
    )
    if not patients:
        if comparable:
            left_out += ("no patient is in every row",)
        return Statistics(baseline=tests.baseline, rows=(), left_out=left_out, n_tests=0)
    by_row = {
        label: test for (label, column), test in tests.tests.items() if column == AVERAGE_COLUMN
    }
    return Statistics(
        baseline=tests.baseline,
        rows=compare_rows(query, comparable, tests.baseline, patients, by_row),
        left_out=left_out,
        n_tests=len(tests.tests),
    )


def compare_rows(
    query: Query,
    labels: Sequence[str],
    baseline: str,
    patients: Sequence[Patient],
    tests: Mapping[str, MethodTest] | None = None,
) -> tuple[Comparison, ...]:
    """Rows against one of them, over some patients.

    Args:
        query: The table's.
        labels: Names of the rows, `baseline` among them.
        baseline: The row that differences are taken against.
        patients: In every row.
        tests: The average's test by row, if any.
    """
    aggregate, sites = query.spec.aggregate, [site for site, _ in patients]
    values = {label: contributions(query.averaged(label), aggregate, patients) for label in labels}
    is_claimable = {label: too_few_seeds(query, label) is None for label in labels}
    shares, wilcoxon = _first_shares(query, values, sites), _wilcoxon(query, labels, baseline)
    rows = []
    for label in labels:
        own = two_level(values[label], sites)
        against = difference(query.averaged(label), query.averaged(baseline), aggregate, patients)
        is_base = label == baseline
        has_interval = not is_base and is_claimable[label] and is_claimable[baseline]
        rows.append(
            Comparison(
                label=label,
                n_patients=len(patients),
                n_seeds=len(values[label]),
                mean=own.estimate,
                interval=own.interval() if is_claimable[label] else None,
                delta=None if is_base else against.estimate,
                delta_interval=against.interval() if has_interval else None,
                first_share=shares.get(label),
                test=(tests or {}).get(label),
                wilcoxon_p=wilcoxon.get(label),
            )
        )
    return tuple(rows)


def _best_row(query: Query, labels: Sequence[str]) -> str:
    """The best row by the table's own average, among those with the most defined cases."""
    undefined = {label: undefined_numbers(query, label) for label in labels}
    fewest = min(undefined.values())
    whole = [label for label in labels if undefined[label] == fewest]
    patients = defined_patients([query.averaged(label) for label in whole])

    def goodness(label: str) -> float:
        values = contributions(query.averaged(label), query.spec.aggregate, patients)
        return query.metric.goodness(float(values.sum(axis=1).mean()))

    return max(whole, key=goodness) if patients else whole[0]


def _first_shares(
    query: Query, values: Mapping[str, NDArray[np.float64]], sites: Sequence[str]
) -> dict[str, float]:
    """Share of resamples in which each row is best; rows that tie share the resample."""
    seeds = {seeds_of(query.averaged(label)) for label in values}
    if len(values) < 2 or len(seeds) > 1 or any(too_few_seeds(query, label) for label in values):
        return {}
    numbers = resample(np.stack(list(values.values())), sites, n_resamples=N_RESAMPLES)
    if not query.metric.is_higher_better:
        numbers = -numbers
    is_best = numbers == numbers.max(axis=1, keepdims=True)
    shares = (is_best / is_best.sum(axis=1, keepdims=True)).mean(axis=0)
    return {label: float(share) for label, share in zip(values, shares, strict=True)}


def _wilcoxon(query: Query, labels: Sequence[str], baseline: str) -> dict[str, float]:
    """Wilcoxon's p of every row's patients against the baseline's, Holm over the rows."""
    means = {label: patient_means(list(query.averaged(label).values())) for label in labels}
    others = [label for label in labels if label != baseline]
    p_values = []
    for label in others:
        differences = [
            means[label][patient] - means[baseline][patient]
            for patient in means[label]
            if patient in means[baseline]
        ]
        p_values.append(signed_rank([d for d in differences if math.isfinite(d)])[0])
    return dict(zip(others, holm(p_values), strict=True))
