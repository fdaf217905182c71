"""Prints grids without truncating digits or stars, however narrow the terminal is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.measure import Measurement

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

WIDEST = 10_000
"""Width of the console to which these functions print; they set the width of every line."""


def print_grid(console: Console, grid: Table, width: int | None) -> None:
    """Print a grid; if it does not fit, without a frame, and with names broken instead of numbers.

    Args:
        console: The console, `WIDEST` wide.
        grid: The grid; its first column has names.
        width: Width of the terminal; None for a pipe, where the grid is as wide as necessary.
    """
    natural = Measurement.get(console, console.options, grid).maximum
    needed = natural if width is None else width
    if natural > needed:
        needed = max(needed, _make_compact(grid))
    console.print(grid, width=needed, crop=False, no_wrap=True, overflow="ignore")


def print_line(console: Console, line: Text, width: int | None) -> None:
    """Print a line; in a pipe it is never wrapped."""
    console.print(line, width=width, soft_wrap=width is None)


def _make_compact(grid: Table) -> int:
    """Remove the frame and padding; returns the smallest width without truncated numbers."""
    grid.box, grid.show_edge, grid.padding, grid.pad_edge = box.SIMPLE_HEAD, False, (0, 0), False
    for position, column in enumerate(grid.columns):
        column.overflow = "fold"
        words = [word for cell in column.cells for word in str(cell).split()]
        if position:
            column.min_width = max(map(len, words), default=1)
    names = grid.columns[0]
    names.min_width = 8
    return sum(column.min_width or 0 for column in grid.columns) + len(grid.columns) - 1
