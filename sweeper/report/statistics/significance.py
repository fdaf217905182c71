"""Tests between rows: seeds and patients resampled, Holm over a whole table.

A test claims something about a method, so it needs three seeds on both sides; a table with fewer
has no stars, and says so.
"""

from __future__ import annotations

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

LEVELS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
AVERAGE_COLUMN = ""
"""Key of a row's average beside its columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodTest:
    """One cell against the baseline's.

    Attributes:
        n_patients: Patients whose numbers are defined in both.
        p: Two-sided p over seeds and patients.
        p_holm: `p` with Holm's correction over all tests of the table.
    """

    n_patients: int
    p: float
    p_holm: float

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
        refused = "" if reason is None else f"{reason} ({needs})"
        return TableTests(baseline=base, tests={}, left_out=left_out, refused=refused)
    raw: dict[tuple[str, str], tuple[int, float]] = {}
    for label in usable:
        if label == base:
            continue
        reason = too_few_seeds(query, label)
        if reason is not None:
            left_out = (*left_out, f"{label}: {reason}")
            continue
        row, base_row = query.averaged(label), query.averaged(base)
        parts = {AVERAGE_COLUMN: (row, base_row)} | {
            column: ({column: row[column]}, {column: base_row[column]}) for column in query.columns
        }
        for column, (cells, base_cells) in parts.items():
            patients = defined_patients([cells, base_cells])
            p = difference(cells, base_cells, query.spec.aggregate, patients).p()
            if p is not None:
                raw[label, column] = len(patients), p
    corrected = holm([p for _, p in raw.values()])
    return TableTests(
        baseline=base,
        left_out=left_out,
        tests={
            key: MethodTest(n_patients=n, p=p, p_holm=p_holm)
            for (key, (n, p)), p_holm in zip(raw.items(), corrected, strict=True)
        },
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
