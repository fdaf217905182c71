"""Builds the tables of a query."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sweeper.config.sources import domains_in
from sweeper.report.aggregate import average_cell, make_cell
from sweeper.report.caption import caption, notes, provenance, tests_caption
from sweeper.report.convergence import unconverged
from sweeper.report.draft import draft_reasons
from sweeper.report.published_rows import published_rows
from sweeper.report.short_caption import short_caption
from sweeper.report.statistics.ranks import ranked, with_deltas
from sweeper.report.statistics.significance import AVERAGE_COLUMN, table_tests
from sweeper.report.table import Origin, ReportTable, TableRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeper.report.entries import Entry
    from sweeper.report.measurements import Pool
    from sweeper.report.query import Query
    from sweeper.report.statistics.significance import TableTests
    from sweeper.report.table import Cell

AVERAGE = {
    "source": "Overall",
    "target": "Overall",
    "structure": "Average",
    "by_structure": "Average",
    "encoder": "Average",
    "matrix": "Mean",
}


def build_tables(query: Query) -> tuple[ReportTable, ...]:
    """The tables of a query: one, or for a matrix one per row."""
    if query.spec.columns == "matrix":
        return tuple(_matrix(query, label, pool) for label, pool in query.pools.items())
    return (build_table(query),)


def build_table(query: Query) -> ReportTable:
    """The table of a query whose columns are sources, targets or structures.

    Raises:
        ConfigError: The baseline is not a row.
    """
    columns = query.columns
    rows = [
        _row(label, query.rows[label], [by_column.get(name, {}) for name in columns], query)
        for label, by_column in query.pools.items()
    ]
    undertrained = unconverged(query)
    rows = [replace(row, is_unconverged=row.label in undertrained) for row in rows]
    rows = with_deltas(ranked(rows, query), query)
    tests = _tests(query)
    rows = _with_stars(rows, columns, tests)
    rows += published_rows(query, columns)
    return _finish(
        query,
        rows,
        name=query.name,
        columns=(*columns, AVERAGE[query.spec.columns]),
        header=query.spec.rows,
        tests=tests,
    )


def _tests(query: Query) -> TableTests | None:
    """The tests that the stars show; None without a baseline."""
    if query.spec.baseline is None or not query.spec.stars:
        return None
    return table_tests(query)


def _with_stars(
    rows: Sequence[TableRow], columns: Sequence[str], tests: TableTests | None
) -> list[TableRow]:
    if tests is None:
        return list(rows)
    names = (*columns, AVERAGE_COLUMN)
    return [
        replace(
            row,
            cells=tuple(
                replace(cell, stars=test.stars) if test is not None else cell
                for name, cell in zip(names, row.cells, strict=True)
                for test in (tests.tests.get((row.label, name)),)
            ),
        )
        for row in rows
    ]


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
        is_reference=label in query.references,
    )


def _matrix(query: Query, label: str, by_pair: dict[str, dict[str, Pool]]) -> ReportTable:
    """Rows are sources, columns are targets; the diagonal, source validation, is in no mean."""
    sources = [s for s in query.sources if any(p.startswith(f"{s} -> ") for p in by_pair)]
    rows = []
    by_target: dict[str, list[tuple[Cell, dict[str, float]]]] = {d: [] for d in query.domains}
    for source in sources:
        made = {
            target: make_cell(by_pair.get(f"{source} -> {target}", {}), query.spec)
            for target in query.domains
        }
        trained_on = domains_in(source)
        others = [cell for target, cell in made.items() if target not in trained_on]
        for target, cell in made.items():
            if target not in trained_on:
                by_target[target].append(cell)
        average = average_cell([c for c, _ in others], [v for _, v in others])
        rows.append(
            TableRow(
                label=query.shown(source), cells=(*(cell for cell, _ in made.values()), average)
            )
        )
    margins = [average_cell([c for c, _ in cs], [v for _, v in cs]) for cs in by_target.values()]
    whole = average_cell([row.cells[-1] for row in rows], [])
    rows.append(TableRow(label="Mean", cells=(*margins, whole), is_mean=True))
    return _finish(
        query,
        rows,
        name=f"{query.name}-{label}",
        columns=(*query.domains, "Mean"),
        header=f"{label}: source",
    )


def _finish(
    query: Query,
    rows: Sequence[TableRow],
    *,
    name: str,
    columns: tuple[str, ...],
    header: str,
    tests: TableTests | None = None,
) -> ReportTable:
    spec = query.spec
    reasons = draft_reasons(query, rows)
    return ReportTable(
        name="".join(c if c.isalnum() or c in "._-" else "_" for c in name),
        title=spec.title,
        row_header=header,
        columns=tuple(map(query.shown, columns)),
        rows=tuple(rows),
        caption=(*caption(query, rows), *tests_caption(tests)),
        notes=notes(query, rows),
        short_caption=short_caption(query, rows, query.shown(columns[-1]), tests),
        measure=query.metric.label,
        provenance=provenance(query),
        draft_reasons=tuple(reasons),
        draft_remedies=tuple(reasons.values()),
        is_synthetic=query.is_synthetic,
        baseline=spec.baseline if tests is not None or spec.columns != "matrix" else None,
        is_lower_better=not query.metric.is_higher_better,
        digits=query.digits,
    )
