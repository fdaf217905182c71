"""Which cells are best, and differences to the baseline: only between equal sets of cases."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from sweeper.config.problems import nearest
from sweeper.errors import ConfigError
from sweeper.report.table import Mark, Origin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeper.report.query import Query
    from sweeper.report.table import Cell, TableRow


def ranked(rows: Sequence[TableRow], query: Query) -> list[TableRow]:
    """Best and second of every column marked, ties alike, on unrounded values.

    A column whose cells are made of different cases gets no mark, and then neither does the
    average.
    """
    unequal = set(unequal_columns(query))
    marked = [list(row.cells) for row in rows]
    names = [*query.columns, None]  # the average has no name
    for position, name in enumerate(names):
        if name in unequal or (name is None and unequal):
            continue
        ranks = [i for i, row in enumerate(rows) if _takes_part(row, row.cells[position])]
        if len(ranks) < 2:
            continue
        levels = sorted(
            {rows[i].cells[position].value or 0.0 for i in ranks},
            reverse=query.metric.is_higher_better,
        )
        for i in ranks:
            cell = rows[i].cells[position]
            place = levels.index(cell.value or 0.0)
            if place < 2:
                mark = Mark.BEST if place == 0 else Mark.SECOND
                marked[i][position] = replace(cell, mark=mark)
    return [replace(row, cells=tuple(cells)) for row, cells in zip(rows, marked, strict=True)]


def _takes_part(row: TableRow, cell: Cell) -> bool:
    return (
        not row.is_reference
        and row.origin is not Origin.PUBLISHED
        and cell.value is not None
        and not math.isnan(cell.value)
    )


def unequal_columns(query: Query) -> dict[str, Mapping[str, int]]:
    """Columns whose finished cells are made of different cases: by row how many."""
    by_column: dict[str, dict[str, int]] = {}
    sets: dict[str, set[object]] = {}
    for label, cells in query.case_shares.items():
        for column, cases in cells.items():
            sets.setdefault(column, set()).add(cases)
            by_column.setdefault(column, {})[label] = len(cases)
    return {column: by_column[column] for column, found in sets.items() if len(found) > 1}


def with_deltas(rows: Sequence[TableRow], query: Query) -> list[TableRow]:
    """Rows with the difference of their average to the baseline's, on equal cases only.

    The baseline itself has none, and neither has a row with an undefined average on either side.

    Raises:
        ConfigError: The baseline is no row.
    """
    if query.spec.baseline is None:
        return list(rows)
    base = find_row(rows, query.spec.baseline)
    return [replace(row, delta=_delta(row, base, query)) for row in rows]


def _delta(row: TableRow, base: TableRow, query: Query) -> float | None:
    own, other = row.cells[-1].value, base.cells[-1].value
    sets = query.case_shares
    is_equal = sets.get(row.label) == sets.get(base.label)
    if own is None or other is None or row is base or row.is_reference or not is_equal:
        return None
    return None if math.isnan(own - other) else own - other


def find_row(rows: Sequence[TableRow], name: str) -> TableRow:
    """The row with a name; a unique beginning of the name will do.

    Raises:
        ConfigError: There is none.
    """
    label = find_label([row.label for row in rows], name)
    return next(row for row in rows if row.label == label)


def find_label(labels: Sequence[str], name: str) -> str:
    """The label that is a name, or the only one that begins with it.

    Raises:
        ConfigError: There is none.
    """
    matches = [label for label in labels if label == name] or [
        label for label in labels if label.startswith(name)
    ]
    if len(matches) != 1:
        raise ConfigError(
            f"baseline: {name!r} is not one row{nearest(name, list(labels))}; the rows are"
            f" {', '.join(labels)}"
        )
    return matches[0]
