"""Prints grids without truncating digits or stars, however narrow the terminal is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.measure import Measurement
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text, TextType

WIDEST = 10_000
"""Width of the console to which these functions print; they set the width of every line."""


def print_grid(console: Console, grid: Table, width: int | None) -> None:
    """Print a grid; if it does not fit, without a frame and its columns in stacked blocks.

    Each block repeats the first column. Names and headers break between words only, and numbers
    never; a single column that is wider than the terminal sticks out.

    Args:
        console: The console, `WIDEST` wide.
        grid: The grid; its first column has names.
        width: Width of the terminal; None for a pipe, where the grid is as wide as necessary.
    """
    natural = Measurement.get(console, console.options, grid).maximum
    if width is None or natural <= width:
        console.print(grid, width=natural, crop=False, no_wrap=True, overflow="ignore")
        return
    for block, needed in _blocks(grid, width):
        console.print(block, width=needed, crop=False, overflow="ignore")


def print_line(console: Console, line: Text, width: int | None) -> None:
    """Print a line; in a pipe it is never wrapped."""
    console.print(line, width=width, soft_wrap=width is None)


def _blocks(grid: Table, width: int) -> list[tuple[Table, int]]:
    """The grid as grids without a frame, each as wide as the terminal allows, with their widths."""
    texts = [[str(cell) for cell in column.cells] for column in grid.columns]
    headers = [str(column.header) for column in grid.columns]
    widths = [
        max([_longest_word(header), *(len(text) for text in cells)], default=1)
        for header, cells in zip(headers, texts, strict=True)
    ]
    # names may use a third of the terminal, and break between words beyond that
    longest_name_word = max(map(_longest_word, [headers[0], *texts[0]]))
    widths[0] = max(longest_name_word, min(widths[0], width // 3))
    parts: list[list[int]] = [[]]
    for position in range(1, len(grid.columns)):
        used = widths[0] + sum(widths[i] + 1 for i in parts[-1])
        if parts[-1] and used + 1 + widths[position] > width:
            parts.append([])
        parts[-1].append(position)
    return [
        (
            _part(grid, [0, *columns], widths, title=grid.title if number == 0 else None),
            widths[0] + sum(widths[i] + 1 for i in columns),
        )
        for number, columns in enumerate(parts)
    ]


def _longest_word(text: str) -> int:
    return max(map(len, text.split()), default=1)


def _part(grid: Table, columns: list[int], widths: list[int], title: TextType | None) -> Table:
    """Some columns of a grid, without a frame."""
    part = Table(
        title=title,
        title_justify=grid.title_justify,
        header_style=grid.header_style,
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 0),
        pad_edge=False,
    )
    cells = [list(grid.columns[i].cells) for i in columns]
    for i in columns:
        column = grid.columns[i]
        part.add_column(column.header, justify=column.justify, width=widths[i])
    for row, line in zip(grid.rows, zip(*cells, strict=True), strict=True):
        part.add_row(*line, style=row.style)
    return part
