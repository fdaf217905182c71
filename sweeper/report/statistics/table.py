"""Statistics as a table of words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.report.formats.plain_table import PlainTable
from sweeper.report.statistics.intervals import N_RESAMPLES
from sweeper.report.words import DASH, delta_text, number

if TYPE_CHECKING:
    from sweeper.report.statistics.intervals import Comparison, Statistics


def statistics_table(statistics: Statistics, name: str, digits: int) -> PlainTable:
    """Means, differences, tests and ranks; says which stars cannot be reached."""
    notes = [
        "Unit: the patient, averaged over seeds, structures and columns. Wilcoxon signed-rank"
        f" against {statistics.baseline}, two-sided, Holm over the {statistics.n_tests} tests of"
        " the table (its columns and its average).",
        f"Intervals: 95 % bootstrap, {N_RESAMPLES} resamples of patients within sites."
        " First: share of resamples in which the row is the best.",
        *([statistics.reach] if statistics.reach else []),
        *(f"Left out: {reason}." for reason in statistics.left_out),
    ]
    return PlainTable(
        name=f"{name}-statistics",
        title=f"Statistics of the average against {statistics.baseline}",
        header=("row", "n", "mean [95 %]", "Δ [95 %]", "p", "p Holm", "", "first"),
        rows=tuple(_row(row, digits) for row in statistics.rows),
        notes=tuple(notes),
    )


def _row(row: Comparison, digits: int) -> tuple[str, ...]:
    interval, test = row.delta_interval, row.test
    return (
        row.label,
        str(row.n_patients),
        f"{number(row.mean, digits)} {_range(row.interval, digits)}",
        DASH if interval is None else f"{delta_text(row.delta, digits)} {_range(interval, digits)}",
        _p(None if test is None else test.p),
        _p(None if test is None else test.p_holm),
        "" if test is None else test.stars,
        f"{100 * row.first_share:.0f} %",
    )


def _range(interval: tuple[float, float], digits: int) -> str:
    return f"[{number(interval[0], digits)}, {number(interval[1], digits)}]"


def _p(value: float | None) -> str:
    return DASH if value is None else f"{value:.2g}"
