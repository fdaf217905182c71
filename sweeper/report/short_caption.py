"""The caption of a table in a paper: what a reader needs, without fingerprints and remarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from desam_model.scoring.protocol_table import PROTOCOLS
from sweeper.report.caption import direction, empty_predictions, fewer_sources, tests_caption
from sweeper.report.convergence import convergence_notes, unequal_budgets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeper.report.query import Query
    from sweeper.report.statistics.significance import TableTests
    from sweeper.report.table import TableRow

_CELLS = {
    "cases": "mean over the cases",
    "sites": "mean over the sites' means",
}


def short_caption(
    query: Query, rows: Sequence[TableRow], average: str, tests: TableTests | None
) -> tuple[str, ...]:
    """Metric, cells, columns, average, seeds, protocol, cases, and what no reader may miss.

    Args:
        query: The table's.
        rows: Its rows.
        average: Name of the last column.
        tests: The tests that the stars show, if any.
    """
    spec = query.spec
    cells = (
        _CELLS[spec.aggregate] if spec.columns not in ("structure", "matrix") else "mean over cases"
    )
    seeds = {entry.seed for entry in query.entries}
    of_seeds = f", {len(seeds)} seeds" if len(seeds) > 1 else ", one seed"
    has_spread = any(cell.deviation is not None for row in rows for cell in row.cells)
    spread = " (± standard deviation over seeds)" if has_spread else ""
    budgets = unequal_budgets(query).values()
    return (
        f"{query.metric.meaning} per case volume: {cells}{of_seeds}{spread}.",
        f"{direction(query)}; {average}: mean of the columns.",
        f"Protocol {spec.protocol}: {PROTOCOLS[spec.protocol].rule}.",
        *(empty_predictions(query)),
        *(tests_caption(tests) if tests is not None and tests.tests else ()),
        *fewer_sources(query),
        *convergence_notes(query),
        *(f"{words[0].upper()}{words[1:]}." for words in budgets),
    )
