"""Grids never lose digits: wide, narrow, and in a pipe."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeper.report.formats.terminal_grid import WIDEST, print_grid, print_line

NUMBERS = ["63.73*** ± 12.34", "9.99", "100.00 (3 undef.)"]


def printed(width: int | None) -> list[str]:
    grid = Table()
    grid.add_column("method")
    for n in range(len(NUMBERS)):
        grid.add_column(f"column {n}", justify="right")
    grid.add_row(*map(Text, ("a method with a very long name [imported]", *NUMBERS)))
    stream = io.StringIO()
    print_grid(Console(file=stream, width=WIDEST), grid, width)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_a_grid_that_fits_has_a_frame_and_one_line_per_row() -> None:
    lines = printed(200)
    assert lines == printed(None)
    assert "┃" in lines[1]
    (row,) = [line for line in lines if NUMBERS[0] in line]
    assert "a method with a very long name [imported]" in row
    assert all(number in row for number in NUMBERS)


@pytest.mark.parametrize("width", [60, 40, 10])
def test_a_narrow_grid_keeps_every_digit_and_star(width: int) -> None:
    lines = printed(width)
    assert "┃" not in "".join(lines)
    for number in NUMBERS:
        assert sum(number in line for line in lines) == 1  # whole, in one line
    words = " ".join(lines).split()
    for word in ["a", "method", "with", "very", "long", "name", "[imported]", "column"]:
        assert word in words
    if width >= 40:
        assert max(map(len, lines)) <= width


def test_columns_that_do_not_fit_are_stacked_below_the_same_names() -> None:
    lines = printed(40)
    heads = [line for line in lines if line.startswith("method")]
    assert len(heads) == 2
    assert "column" in heads[0]
    # the names break between words, and stand in every block
    assert sum(line.startswith("[imported]") for line in lines) == 2
    assert len([line for line in printed(60) if line.startswith("method")]) == 2
    assert len([line for line in printed(66) if line.startswith("method")]) == 1


def test_a_long_line_wraps_in_a_terminal_and_stays_whole_in_a_pipe() -> None:
    line = " ".join(["word"] * 30)
    for width, count in ((40, 4), (None, 1)):
        stream = io.StringIO()
        print_line(Console(file=stream, width=WIDEST), Text(line), width)
        lines = stream.getvalue().splitlines()
        assert len(lines) == count
        assert " ".join(" ".join(lines).split()) == line
