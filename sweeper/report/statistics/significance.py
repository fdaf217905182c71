"""Tests between rows: seeds and patients resampled, Holm over a whole table.

A test claims something about a method, so it needs three seeds on both sides; a table with fewer
has no stars, and says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeper.report.statistics.contributions import (
    contributions,
    defined_patients,
    seeds_of,
)
from sweeper.report.statistics.ranks import find_label
from sweeper.report.statistics.two_level import (
    MIN_SEEDS,
    TwoLevel,
    two_level,
    two_level_difference,
)
from sweeper.report.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeper.report.measurements import Pool
    from sweeper.report.query import Query
    from sweeper.report.statistics.contributions import Patient

LEVELS = (0.05, 0.01, 0.001)
"""Levels of one, two and three marks."""

BETTER, WORSE = "*", "°"
"""Marks of cells that are significantly better or worse than the baseline's."""

AVERAGE_COLUMN = ""
"""Key of a row's average beside its columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodTest:
    """One cell against the baseline's.

    Attributes:
        n_patients: Patients whose numbers are defined in both.
        p: Two-sided p over seeds and patients.
        p_holm: `p` with Holm's correction over all tests of the table.
        is_better: True if the cell is better than the baseline's, whichever way the metric goes.
    """

    n_patients: int
    p: float
    p_holm: float
    is_better: bool

    @property
    def stars(self) -> str:
        """One mark at .05, two at .01, three at .001, on `p_holm`; `*` is better, `°` is worse."""
        return (BETTER if self.is_better else WORSE) * sum(self.p_holm <= level for level in LEVELS)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableTests:
    """Every test of a table, so that its stars and its statistics agree.

    Attributes:
        baseline: The row that the others are tested against.
        tests: By (row, column); the average's column is `AVERAGE_COLUMN`.
        left_out: Rows, or columns of them, without tests, with the reason.
        refused: Why there is no test at all, such as `one seed: no test`; empty if there may be.
    """

    baseline: str
    tests: Mapping[tuple[str, str], MethodTest]
    left_out: tuple[str, ...]
    refused: str = ""


def table_tests(query: Query, baseline: str | None = None) -> TableTests:
    """The tests of a table against a row, by default the query's.

    Raises:
        ConfigError: No row is named, or none has the name.
    """
    usable, left_out = testable_rows(query)
    base = find_label(list(query.rows), baseline or query.spec.baseline or "")
    reason = too_few_seeds(query, base) if base in usable else None
    if base not in usable or reason is not None:
        needs = f"a claim about a method needs {MIN_SEEDS} seeds in both rows"
        refused = "" if reason is None else f"{reason}; {needs}"
        return TableTests(baseline=base, tests={}, left_out=left_out, refused=refused)
    raw: dict[tuple[str, str], tuple[int, float, bool]] = {}
    for label in usable:
        if label == base:
            continue
        reason = too_few_seeds(query, label)
        if reason is not None:
            left_out = (*left_out, f"{label}: {reason}")
            continue
        row, base_row = query.averaged(label), query.averaged(base)
        parts = {
            column: ({column: row[column]}, {column: base_row[column]}) for column in query.columns
        } | {AVERAGE_COLUMN: (row, base_row)}
        reasons: dict[str, list[str]] = {}
        for column, (cells, base_cells) in parts.items():
            reason = incomparable(query, label, base, column)
            if reason is not None:
                reasons.setdefault(reason, []).append(column or "average")
                continue
            patients = defined_patients([cells, base_cells])
            against = difference(cells, base_cells, query.spec.aggregate, patients)
            p = against.p()
            if p is not None:
                is_better = (against.estimate > 0.0) == query.metric.is_higher_better
                raw[label, column] = len(patients), p, is_better
        left_out += tuple(
            f"{label} in {', '.join(columns)}: {reason}" for reason, columns in reasons.items()
        )
    corrected = holm([p for _, p, _ in raw.values()])
    return TableTests(
        baseline=base,
        left_out=left_out,
        tests={
            key: MethodTest(n_patients=n, p=p, p_holm=p_holm, is_better=is_better)
            for (key, (n, p, is_better)), p_holm in zip(raw.items(), corrected, strict=True)
        },
    )


def incomparable(query: Query, label: str, base: str, column: str = AVERAGE_COLUMN) -> str | None:
    """Why a row's cell is not tested against the baseline's; None if it is.

    The rule is that of the table: a cell that is undefined has no difference, and neither have
    cells that are computed from different cases.

    Args:
        query: The table's.
        label: A row that is complete.
        base: The baseline, complete too.
        column: A column; by default the average.
    """
    for name in (label, base):
        undefined = undefined_numbers(query, name, column)
        if undefined and query.spec.undefined != "skip":
            whose = "" if name == label else f"{base} has "
            return f"{whose}{counted(undefined, 'undefined case number')}"
    shares, base_shares = query.case_shares[label], query.case_shares[base]
    is_equal = (
        shares == base_shares
        if column == AVERAGE_COLUMN
        else shares.get(column) == base_shares.get(column)
    )
    return None if is_equal else f"scored on other cases than {base}"


def undefined_numbers(query: Query, label: str, column: str = AVERAGE_COLUMN) -> int:
    """Undefined case numbers of a row over all seeds, in a column or in all of them."""
    return sum(
        math.isnan(number.value)
        for name, by_seed in query.averaged(label).items()
        if column in (AVERAGE_COLUMN, name)
        for pool in by_seed.values()
        for numbers in pool.numbers.values()
        for number in numbers
    )


def difference(
    cells: Mapping[str, Mapping[str, Pool]],
    base: Mapping[str, Mapping[str, Pool]],
    aggregate: str,
    patients: Sequence[Patient],
) -> TwoLevel:
    """A row less the baseline over some patients, paired by seed where both have the same seeds."""
    values, base_values = (contributions(c, aggregate, patients) for c in (cells, base))
    sites = [site for site, _ in patients]
    if seeds_of(cells) == seeds_of(base):
        return two_level(values - base_values, sites)
    return two_level_difference(values, base_values, sites)


def too_few_seeds(query: Query, label: str) -> str | None:
    """Why nothing can be claimed of a row's method; None if something can."""
    seeds = seeds_of(query.averaged(label))
    if seeds is None:
        return "different seeds in its columns: no test"
    if len(seeds) < MIN_SEEDS:
        return f"{'one seed' if len(seeds) == 1 else counted(len(seeds), 'seed')}: no test"
    return None


def testable_rows(query: Query) -> tuple[list[str], tuple[str, ...]]:
    """Rows that may be compared: no upper bound, every column there and finished."""
    usable, left_out = [], []
    for label in query.rows:
        by_column = query.averaged(label)
        if label in query.references:
            left_out.append(f"{label}: an upper bound is not a competitor")
        elif set(query.columns) - set(by_column) or not all(
            pool.done == pool.planned for seeds in by_column.values() for pool in seeds.values()
        ):
            left_out.append(f"{label}: incomplete")
        else:
            usable.append(label)
    return usable, tuple(left_out)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction, in the order given."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [1.0] * len(p_values)
    running = 0.0
    for rank, i in enumerate(order):
        running = max(running, (len(p_values) - rank) * p_values[i])
        adjusted[i] = min(1.0, running)
    return adjusted
