"""Tables of plain texts: statistics, costs."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeper.report.formats.latex import escape
from sweeper.report.formats.terminal_grid import WIDEST, print_grid, print_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainTable:
    """A table whose cells are already words.

    Attributes:
        name: For files and labels.
        title: What it shows.
        header: Names of the columns.
        rows: As many texts each as there are columns.
        notes: Lines below it.
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
    lines = [f"**{table.title}**", "", _line(table.header)]
    lines.append(_line(["---"] + ["---:"] * (len(table.header) - 1)))
    lines += map(_line, table.rows)
    return "\n".join([*lines, "", *(f"{note}  " for note in table.notes), ""])


def _line(cells: tuple[str, ...] | list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _csv(table: PlainTable) -> str:
    stream = io.StringIO()
    for note in (table.title, *table.notes):
        stream.write(f"# {note}\n")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([table.header, *table.rows])
    return stream.getvalue()


def _latex(table: PlainTable) -> str:
    body = [" & ".join(map(escape, row)) + r" \\" for row in table.rows]
    return "\n".join(
        [
            "\\begin{table}[t]",
            "\\centering",
            f"\\caption{{{escape(' '.join((f'{table.title}.', *table.notes)))}}}",
            "\\smallskip",
            "\\resizebox{\\textwidth}{!}{%",
            f"\\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}",
            "\\toprule",
            " & ".join(map(escape, table.header)) + r" \\",
            "\\midrule",
            *body,
            "\\bottomrule",
            "\\end{tabular}}",
            "\\end{table}",
            "",
        ]
    )


def _json(table: PlainTable) -> str:
    return json.dumps(asdict(table), indent=1, ensure_ascii=False) + "\n"


PLAIN_RENDERERS: Mapping[str, Callable[[PlainTable], str]] = {
    "terminal": render_plain,
    "markdown": _markdown,
    "csv": _csv,
    "latex": _latex,
    "json": _json,
}
"""One plain table to text, by format."""
