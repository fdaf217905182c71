"""The part of a page that a reader opens: a row's values by case, and its curves."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from sweeper.report.words import counted, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeper.report.row_details import RowDetails, Training

_WIDTH, _HEIGHT = 160, 48


def details_html(rows: Sequence[RowDetails], measure: str, digits: int) -> str:
    """One element per row that opens; empty without rows."""
    parts = [_row(row, digits) for row in rows if row.trainings]
    if not parts:
        return ""
    return "\n".join([f"<h2>Behind the rows: {escape(measure)} of every case</h2>", *parts])


def _row(row: RowDetails, digits: int) -> str:
    heads = "".join(
        f"<th{_source(training)}>{escape(training.source)}<br>seed {escape(training.seed)}</th>"
        for training in row.trainings
    )
    has_structures = len({structure for _, _, structure in row.cases}) > 1
    lines = "\n".join(
        f"<tr><td>{escape(_name(case, has_structures))}</td>"
        + "".join(_value(training, case, digits) for training in row.trainings)
        + "</tr>"
        for case in row.cases
    )
    curves = "".join(
        f"<td{_source(training)}>{_curves(training)}</td>" for training in row.trainings
    )
    last = f"<tr><td>curves</td>{curves}</tr>" if any(t.curves for t in row.trainings) else ""
    return (
        f"<details><summary>{escape(row.label)}: {counted(len(row.trainings), 'training')},"
        f" {counted(len(row.cases), 'case')}</summary>"
        f'<div class="scroll"><table><thead><tr><th>case</th>{heads}</tr></thead>'
        f"<tbody>{lines}</tbody><tfoot>{last}</tfoot></table></div></details>"
    )


def _name(case: tuple[str, str, str], has_structures: bool) -> str:
    """A case's name, with its site and its structure where the name alone does not say them."""
    target, name, structure = case
    words = ["" if name.startswith(target) else target, name, structure if has_structures else ""]
    return " ".join(filter(None, words))


def _source(training: Training) -> str:
    return f' data-source="{escape(training.source, quote=True)}"'


def _value(training: Training, case: tuple[str, str, str], digits: int) -> str:
    """A cell; empty where the training did not test the case."""
    if case not in training.values:
        return f"<td{_source(training)}></td>"
    value = training.values[case]
    exact = "" if math.isnan(value) else f' data-value="{value!r}"'
    return f"<td{_source(training)}{exact}>{number(value, digits)}</td>"


def _curves(training: Training) -> str:
    """Every curve as a small line with its first and last value."""
    return "".join(_curve(name, values) for name, values in training.curves.items())


def _curve(name: str, values: Sequence[float]) -> str:
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2:
        return ""
    low, high = min(finite), max(finite)
    span = (high - low) or 1.0
    points = " ".join(
        f"{i * _WIDTH / (len(values) - 1):.1f},{_HEIGHT - (value - low) / span * _HEIGHT:.1f}"
        for i, value in enumerate(values)
        if math.isfinite(value)
    )
    words = f"{name}: {finite[0]:.3g} to {finite[-1]:.3g}"
    return (
        f'<svg class="curve" viewBox="-2 -2 {_WIDTH + 4} {_HEIGHT + 4}" role="img"'
        f' aria-label="{escape(words, quote=True)}"><polyline points="{points}"/></svg>'
        f"<small>{escape(words)}</small>"
    )
