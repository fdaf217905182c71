"""Statistics as a table of words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.report.plain_table import PlainTable
from sweeper.report.statistics import LEVELS, N_RESAMPLES
from sweeper.report.words import DASH, delta_text, number

if TYPE_CHECKING:
    from sweeper.report.statistics import RowStatistics, Statistics


def statistics_table(statistics: Statistics, name: str) -> PlainTable:
    """Means, differences, tests and ranks; says which stars cannot be reached."""
    notes = [
        "Unit: the patient, averaged over seeds and columns. Wilcoxon signed-rank against"
        f" {statistics.baseline}, two-sided, Holm within this table.",
        f"Intervals: 95 % bootstrap, {N_RESAMPLES} resamples of patients within sites."
        " First: share of resamples in which the row is the best.",
        *_reachable(statistics),
        *(f"Left out: {reason}." for reason in statistics.left_out),
    ]
    return PlainTable(
        name=f"{name}-statistics",
        title=f"Statistics against {statistics.baseline}",
        header=("row", "n", "mean [95 %]", "Δ [95 %]", "p", "p Holm", "", "first"),
        rows=tuple(map(_row, statistics.rows)),
        notes=tuple(notes),
    )


def _reachable(statistics: Statistics) -> list[str]:
    reachable = [row.smallest_p for row in statistics.rows if row.smallest_p is not None]
    if not reachable:
        return []
    smallest = max(reachable)
    refused = [stars for level, stars in LEVELS if smallest > level]
    line = f"Smallest reachable p after correction: {smallest:.3g}."
    unreachable = f" Cannot be reached, so never printed: {', '.join(refused)}." if refused else ""
    return [f"{line}{unreachable}"]


def _row(row: RowStatistics) -> tuple[str, ...]:
    interval = row.delta_interval
    return (
        row.label,
        str(row.n_patients),
        f"{number(row.mean)} {_range(row.interval)}",
        DASH if interval is None else f"{delta_text(row.delta)} {_range(interval)}",
        _p(row.p),
        _p(row.p_holm),
        row.stars,
        f"{100 * row.first_share:.0f} %",
    )


def _range(interval: tuple[float, float]) -> str:
    return f"[{number(interval[0])}, {number(interval[1])}]"


def _p(value: float | None) -> str:
    return DASH if value is None else f"{value:.2g}"
