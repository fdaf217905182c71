"""Grids that lose no digit and no star, however narrow the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.measure import Measurement

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

WIDEST = 10_000
"""Width of a console that these functions print to: they give every line its own."""


def print_grid(console: Console, grid: Table, width: int | None) -> None:
    """Print a grid; where it does not fit, without lines, and with names broken before numbers are.

    Args:
        console: Where to.
        grid: Its first column holds names.
        width: Of the terminal; None in a pipe, where it is as wide as it must be.
    """
    natural = Measurement.get(console, console.options, grid).maximum
    needed = natural if width is None else width
    if natural > needed:
        needed = max(needed, _make_compact(grid))
    console.print(grid, width=needed, crop=False, no_wrap=True, overflow="ignore")


def print_line(console: Console, line: Text, width: int | None) -> None:
    """Print a line; in a pipe it stays one line."""
    console.print(line, width=width, soft_wrap=width is None)


def _make_compact(grid: Table) -> int:
    """No frame, and one space between columns; the least width that holds all numbers."""
    grid.box, grid.show_edge, grid.padding, grid.pad_edge = box.SIMPLE_HEAD, False, (0, 0), False
    for position, column in enumerate(grid.columns):
        column.overflow = "fold"
        words = [word for cell in column.cells for word in str(cell).split()]
        if position:
            column.min_width = max(map(len, words), default=1)
    names = grid.columns[0]
    names.min_width = 8
    return sum(column.min_width or 0 for column in grid.columns) + len(grid.columns) - 1
