"""Renders tables for the terminal."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeper.report.formats.terminal_grid import WIDEST, print_grid, print_line
from sweeper.report.table import Mark, Origin
from sweeper.report.words import (
    caption_lines,
    cell_text,
    delta_header,
    delta_text,
    draft_lines,
    row_name,
)

if TYPE_CHECKING:
    from sweeper.report.table import Cell, ReportTable, TableRow


def render_terminal(
    table: ReportTable, *, width: int | None = None, has_colour: bool = False
) -> str:
    """The table as text, for a terminal of `width` columns; None for a pipe."""
    grid = Table(show_header=True, header_style="bold")
    grid.add_column(table.row_header)
    for column in table.columns:
        grid.add_column(column, justify="right")
    if table.baseline:
        grid.add_column(delta_header(table), justify="right")
    for row in table.rows:
        grid.add_row(*_cells(row, table), style="dim" if row.origin is Origin.PUBLISHED else "")
    stream = io.StringIO()
    console = Console(file=stream, width=WIDEST, force_terminal=has_colour, highlight=False)
    for line in draft_lines(table):
        print_line(console, Text(line, style="bold yellow"), width)
    print_grid(console, grid, width)
    for line in caption_lines(table):
        print_line(console, Text(line, style="dim"), width)
    return stream.getvalue()


def _cells(row: TableRow, table: ReportTable) -> list[Text]:
    texts = [Text(row_name(row)), *(_cell(cell, table.digits) for cell in row.cells)]
    if table.baseline:
        texts.append(Text(delta_text(row.delta, table.digits)))
    return texts


def _cell(cell: Cell, digits: int) -> Text:
    style = {Mark.BEST: "bold", Mark.SECOND: "underline", None: ""}[cell.mark]
    return Text(cell_text(cell, digits), style=style)
