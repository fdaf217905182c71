"""From a query to finished tables."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from sweeper.config.problems import nearest
from sweeper.errors import ConfigError
from sweeper.report.aggregate import average_cell, make_cell
from sweeper.report.caption import caption, notes
from sweeper.report.draft import draft_reasons
from sweeper.report.entries import REFERENCE_METHOD
from sweeper.report.published_rows import published_rows
from sweeper.report.table import Mark, Origin, ReportTable, TableRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeper.config.report import ReportSpec
    from sweeper.report.entries import Entry
    from sweeper.report.measurements import Pool
    from sweeper.report.query import Query
    from sweeper.report.table import Cell

AVERAGE = {"source": "Overall", "target": "Overall", "structure": "Average", "matrix": "Mean"}


def build_tables(query: Query) -> tuple[ReportTable, ...]:
    """The tables of a query: one, or for a matrix one a row."""
    if query.spec.columns == "matrix":
        return tuple(_matrix(query, label, pool) for label, pool in query.pools.items())
    return (build_table(query),)


def build_table(query: Query) -> ReportTable:
    """The table of a query whose columns are sources, targets or structures.

    Raises:
        ConfigError: The baseline is no row.
    """
    found = query.pools
    columns = _columns(query, found)
    rows = []
    for label, by_column in found.items():
        members = query.rows[label]
        rows.append(_row(label, members, [by_column.get(name, {}) for name in columns], query))
    rows = _with_deltas(_ranked(rows, query.spec), query.spec.baseline)
    rows += published_rows(query.spec, columns, is_synthetic=query.is_synthetic)
    return _finish(
        query,
        rows,
        name=query.name,
        columns=(*columns, AVERAGE[query.spec.columns]),
        header=query.spec.rows,
    )


def _columns(query: Query, found: dict[str, dict[str, dict[str, Pool]]]) -> list[str]:
    """Columns that some row plans, in the order of the dataset's domains, then as planned."""
    there = dict.fromkeys(name for by_column in found.values() for name in by_column)
    return sorted(
        there, key=lambda c: query.domains.index(c) if c in query.domains else len(query.domains)
    )


def _row(
    label: str, members: Sequence[Entry], by_column: Sequence[dict[str, Pool]], query: Query
) -> TableRow:
    made = [make_cell(by_seed, query.spec) for by_seed in by_column]
    cells = [cell for cell, _ in made]
    average = average_cell(cells, [values for _, values in made])
    imported = any(entry.is_imported for entry in members)
    return TableRow(
        label=label,
        cells=(*cells, average),
        origin=Origin.IMPORTED if imported else Origin.MEASURED,
        note="imported masks; training and selection as declared by the user" if imported else "",
        is_reference=any(entry.method == REFERENCE_METHOD for entry in members),
    )


def _ranked(rows: Sequence[TableRow], spec: ReportSpec) -> list[TableRow]:
    """Best and second of every column marked, ties alike, on unrounded values."""
    marked = [list(row.cells) for row in rows]
    for column in range(len(rows[0].cells)):
        ranked = [i for i, row in enumerate(rows) if _takes_part(row, row.cells[column])]
        levels = sorted(
            {rows[i].cells[column].value or 0.0 for i in ranked}, reverse=spec.metric == "dice"
        )
        if len(ranked) < 2:
            continue
        for i in ranked:
            cell = rows[i].cells[column]
            place = levels.index(cell.value or 0.0)
            if place < 2:
                mark = Mark.BEST if place == 0 else Mark.SECOND
                marked[i][column] = replace(cell, mark=mark)
    return [replace(row, cells=tuple(cells)) for row, cells in zip(rows, marked, strict=True)]


def _takes_part(row: TableRow, cell: Cell) -> bool:
    return (
        not row.is_reference
        and row.origin is not Origin.PUBLISHED
        and cell.value is not None
        and not math.isnan(cell.value)
    )


def _with_deltas(rows: Sequence[TableRow], baseline: str | None) -> list[TableRow]:
    if baseline is None:
        return list(rows)
    base = find_row(rows, baseline).cells[-1].value
    return [
        replace(row, delta=None if value is None or base is None else value - base)
        for row in rows
        for value in (row.cells[-1].value,)
    ]


def find_row(rows: Sequence[TableRow], name: str) -> TableRow:
    """The row with a name; a unique beginning of the name will do.

    Raises:
        ConfigError: There is none.
    """
    labels = [row.label for row in rows]
    matches = [row for row in rows if row.label == name] or [
        row for row in rows if row.label.startswith(name)
    ]
    if len(matches) != 1:
        raise ConfigError(
            f"baseline: {name!r} is not one row{nearest(name, labels)}; the rows are"
            f" {', '.join(labels)}"
        )
    return matches[0]


def _matrix(query: Query, label: str, by_pair: dict[str, dict[str, Pool]]) -> ReportTable:
    """Sources down, targets across; the diagonal is source validation and in no mean."""
    sources = [d for d in query.domains if any(p.startswith(f"{d} -> ") for p in by_pair)]
    rows = []
    by_target: dict[str, list[tuple[Cell, dict[str, float]]]] = {d: [] for d in query.domains}
    for source in sources:
        made = {
            target: make_cell(by_pair.get(f"{source} -> {target}", {}), query.spec)
            for target in query.domains
        }
        others = [cell for target, cell in made.items() if target != source]
        for target, cell in made.items():
            if target != source:
                by_target[target].append(cell)
        average = average_cell([c for c, _ in others], [v for _, v in others])
        rows.append(TableRow(label=source, cells=(*(cell for cell, _ in made.values()), average)))
    margins = [average_cell([c for c, _ in cs], [v for _, v in cs]) for cs in by_target.values()]
    whole = average_cell([row.cells[-1] for row in rows], [])
    rows.append(TableRow(label="Mean", cells=(*margins, whole), is_reference=True))
    return _finish(
        query,
        rows,
        name=f"{query.name}-{label}",
        columns=(*query.domains, "Mean"),
        header=f"{label}: source",
    )


def _finish(
    query: Query, rows: Sequence[TableRow], *, name: str, columns: tuple[str, ...], header: str
) -> ReportTable:
    spec = query.spec
    return ReportTable(
        name="".join(c if c.isalnum() or c in "._-" else "_" for c in name),
        title=spec.title,
        row_header=header,
        columns=columns,
        rows=tuple(rows),
        caption=caption(query, rows),
        notes=notes(query, rows),
        draft_reasons=draft_reasons(query, rows, is_synthetic=query.is_synthetic),
        is_synthetic=query.is_synthetic,
        baseline=spec.baseline,
        is_lower_better=spec.metric != "dice",
    )
