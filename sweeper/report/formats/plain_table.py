"""Renders tables of texts, such as statistics and costs."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeper.report.formats.latex import (
    WIDTHS_CM,
    LatexStyle,
    escape,
    latex_table,
    plain_cells,
)
from sweeper.report.formats.terminal_grid import WIDEST, print_grid, print_line
from sweeper.report.formats.text import csv_table, markdown_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainTable:
    """A table whose cells are texts.

    Attributes:
        name: Name for files and labels.
        title: Title of the table.
        header: Names of the columns.
        rows: One text per column.
        notes: Lines below the table.
    """

    name: str
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def render_plain(table: PlainTable, *, width: int | None = None) -> str:
    """The table for a terminal of `width` columns; None for a pipe."""
    grid = Table(title=table.title, title_justify="left", header_style="bold")
    for position, name in enumerate(table.header):
        grid.add_column(name, justify="right" if position else "left")
    for row in table.rows:
        grid.add_row(*map(Text, row))
    stream = io.StringIO()
    console = Console(file=stream, width=WIDEST, highlight=False)
    print_grid(console, grid, width)
    for note in table.notes:
        print_line(console, Text(note), width)
    return stream.getvalue()


def _markdown(table: PlainTable) -> str:
    return f"**{table.title}**\n\n{markdown_table(table.header, table.rows, table.notes)}"


def _csv(table: PlainTable) -> str:
    return csv_table((table.title, *table.notes), (table.header, *table.rows))


def _latex(table: PlainTable) -> str:
    caption = escape(" ".join((f"{table.title}.", *table.notes)))
    body = [plain_cells(row) for row in table.rows]
    return latex_table(caption, table.name, table.header, body, LatexStyle(width_cm=WIDTHS_CM[-1]))


def _json(table: PlainTable) -> str:
    return json.dumps(asdict(table), indent=1, ensure_ascii=False) + "\n"


PLAIN_RENDERERS: Mapping[str, Callable[[PlainTable], str]] = {
    "terminal": render_plain,
    "markdown": _markdown,
    "csv": _csv,
    "latex": _latex,
    "json": _json,
}
"""Format -> function that renders a plain table."""
