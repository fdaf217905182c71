"""Statistics as a table of words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.report.formats.plain_table import PlainTable
from sweeper.report.statistics.comparison import N_RESAMPLES
from sweeper.report.statistics.two_level import MIN_SEEDS
from sweeper.report.words import DASH, delta_text, number

if TYPE_CHECKING:
    from sweeper.report.statistics.comparison import Comparison, Statistics


def statistics_table(statistics: Statistics, name: str, digits: int) -> PlainTable:
    """Means, differences, tests and ranks, with what each of them claims."""
    notes = [
        "p and 95 % intervals: of the method, over seeds and patients within sites, by one"
        f" procedure; two-sided, Holm over the {statistics.n_tests} tests of the table (its"
        f" columns and its average); none with fewer than {MIN_SEEDS} seeds on either side."
        f" First: share of {N_RESAMPLES} two-level resamples in which the row is the best.",
        "p Wilcoxon: of these trained networks, not of the methods: signed-rank over patients"
        " averaged over seeds, structures and columns, two-sided, Holm over the rows.",
        *(f"Not tested: {reason}." for reason in statistics.left_out),
    ]
    return PlainTable(
        name=f"{name}-statistics",
        title=f"Statistics of the average against {statistics.baseline}",
        header=(
            "row",
            "seeds",
            "patients",
            "mean [95 %]",
            "Δ [95 %]",
            "p",
            "p Holm",
            "",
            "first",
            "p Wilcoxon (these networks)",
        ),
        rows=tuple(_row(row, digits) for row in statistics.rows),
        notes=tuple(notes),
    )


def _row(row: Comparison, digits: int) -> tuple[str, ...]:
    test = row.test
    return (
        row.label,
        str(row.n_seeds),
        str(row.n_patients),
        f"{number(row.mean, digits)}{_range(row.interval, digits)}",
        DASH
        if row.delta is None
        else f"{delta_text(row.delta, digits)}{_range(row.delta_interval, digits)}",
        _p(None if test is None else test.p),
        _p(None if test is None else test.p_holm),
        "" if test is None else test.stars,
        DASH if row.first_share is None else f"{100 * row.first_share:.0f} %",
        _p(row.wilcoxon_p),
    )


def _range(interval: tuple[float, float] | None, digits: int) -> str:
    if interval is None:
        return ""
    return f" [{number(interval[0], digits)}, {number(interval[1], digits)}]"


def _p(value: float | None) -> str:
    return DASH if value is None else f"{value:.2g}"
