"""Paired tests between rows: Wilcoxon's signed-rank over patients, Holm over a whole table.

The unit is the patient, averaged over seeds, structures and (for the average) columns.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from sweeper.report.statistics.ranks import find_label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeper.report.measurements import Pool
    from sweeper.report.query import Query

LEVELS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
AVERAGE_COLUMN = ""
"""Key of a row's average beside its columns."""

Patient = tuple[str, str]
"""(domain, case)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTest:
    """One cell against the baseline's.

    Attributes:
        n_patients: Patients whose numbers are defined in both.
        p: Two-sided Wilcoxon signed-rank p.
        p_holm: `p` with Holm's correction over all tests of the table.
        smallest_p: The smallest `p_holm` that it can reach, with so many patients in every test.
    """

    n_patients: int
    p: float
    p_holm: float
    smallest_p: float

    @property
    def stars(self) -> str:
        """`*` .05, `**` .01, `***` .001, on `p_holm`."""
        return next((stars for level, stars in LEVELS if self.p_holm <= level), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableTests:
    """Every test of a table, so that its stars and its statistics agree.

    Attributes:
        baseline: The row that the others are tested against.
        tests: By (row, column); the average's column is `AVERAGE_COLUMN`.
        left_out: Rows without tests, with the reason.
    """

    baseline: str
    tests: Mapping[tuple[str, str], PairedTest]
    left_out: tuple[str, ...]


def table_tests(query: Query, baseline: str | None = None) -> TableTests:
    """The tests of a table against a row, by default the query's.

    Raises:
        ConfigError: No row is named, or none has the name.
    """
    usable, left_out = testable_rows(query)
    base = find_label(list(query.rows), baseline or query.spec.baseline or "")
    if base not in usable:
        return TableTests(baseline=base, tests={}, left_out=left_out)
    means = {label: _means_by_column(query, label) for label in usable}
    raw: dict[tuple[str, str], tuple[float, float, int]] = {}
    for label in usable:
        if label == base:
            continue
        for column, own in means[label].items():
            pairs = _pairs(own, means[base].get(column, {}))
            raw[label, column] = (*signed_rank(pairs), len(pairs))
    corrected = holm([p for p, _, _ in raw.values()])
    # Holm's correction falls with every p, so that none goes below what the smallest of all give
    reachable = holm([smallest for _, smallest, _ in raw.values()])
    return TableTests(
        baseline=base,
        left_out=left_out,
        tests={
            key: PairedTest(n_patients=n, p=p, p_holm=p_holm, smallest_p=smallest_p)
            for (key, (p, _, n)), p_holm, smallest_p in zip(
                raw.items(), corrected, reachable, strict=True
            )
        },
    )


def testable_rows(query: Query) -> tuple[list[str], tuple[str, ...]]:
    """Rows that may be compared: no upper bound, every column there and finished."""
    usable, left_out = [], []
    for label in query.rows:
        by_column = query.averaged(label)
        if label in query.references:
            left_out.append(f"{label}: an upper bound is no competitor")
        elif set(query.columns) - set(by_column) or not all(
            pool.done == pool.planned for seeds in by_column.values() for pool in seeds.values()
        ):
            left_out.append(f"{label}: incomplete")
        else:
            usable.append(label)
    return usable, tuple(left_out)


def _means_by_column(query: Query, label: str) -> dict[str, dict[Patient, float]]:
    by_column = query.averaged(label)
    found = {column: patient_means([by_column[column]]) for column in query.columns}
    found[AVERAGE_COLUMN] = patient_means(list(by_column.values()))
    return found


def patient_means(cells: Sequence[Mapping[str, Pool]]) -> dict[Patient, float]:
    """Each patient's plain mean over the columns, seeds and structures of some cells."""
    values: dict[Patient, list[float]] = defaultdict(list)
    for by_seed in cells:
        for pool in by_seed.values():
            for numbers in pool.numbers.values():
                for number in numbers:
                    values[number.case[0], number.case[1]].append(number.value)
    return {patient: fmean(found) for patient, found in values.items()}


def _pairs(own: Mapping[Patient, float], base: Mapping[Patient, float]) -> list[float]:
    """Differences of the patients that are defined in both."""
    differences = (own[patient] - base[patient] for patient in own if patient in base)
    return [difference for difference in differences if math.isfinite(difference)]


def signed_rank(differences: Sequence[float]) -> tuple[float, float]:
    """Two-sided Wilcoxon signed-rank p, and the smallest p that so many differences can reach.

    Zero differences are left out, as Wilcoxon did; with none left both are 1. An approximation
    (many ties) is never let below what the exact test could reach.
    """
    nonzero = [d for d in differences if d != 0.0]
    if not nonzero:
        return 1.0, 1.0
    from scipy import stats  # costs a second, and most tables have no baseline

    smallest = min(1.0, 2.0 ** (1 - len(nonzero)))
    return max(smallest, float(stats.wilcoxon(nonzero).pvalue)), smallest


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction, in the order given."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [1.0] * len(p_values)
    running = 0.0
    for rank, i in enumerate(order):
        running = max(running, (len(p_values) - rank) * p_values[i])
        adjusted[i] = min(1.0, running)
    return adjusted


def reach_note(tests: TableTests) -> str:
    """The smallest p that the tests can reach, and the stars that are refused for it."""
    reachable = [test.smallest_p for test in tests.tests.values()]
    if not reachable:
        return ""
    low, high = min(reachable), max(reachable)
    span = f"{low:.2g}" if low == high else f"{low:.2g} to {high:.2g}, by cell"
    refused = [stars for level, stars in LEVELS if low > level]
    some = [stars for level, stars in LEVELS if low <= level < high]
    line = f"Smallest reachable p after correction: {span}."
    if refused:
        line += f" Cannot be reached, so never printed: {', '.join(refused)}."
    if some:
        line += f" Out of reach of the cells with few patients: {', '.join(some)}."
    return line
