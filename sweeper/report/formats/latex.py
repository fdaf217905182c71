"""Renders tables in LaTeX with booktabs, as wide as a paper's column and never below 7 pt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from sweeper.config.problems import nearest
from sweeper.errors import ConfigError
from sweeper.report.table import Mark, Origin
from sweeper.report.words import (
    caption_lines,
    delta_text,
    draft_lines,
    number,
    row_name,
    seeds_text,
    short_caption_lines,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeper.report.table import Cell, ReportTable, TableRow

PACKAGES = ("booktabs", "xcolor")
"""LaTeX packages that a table needs."""

PREAMBLE = (
    "\\documentclass{article}\n"
    f"\\usepackage{{{','.join(PACKAGES)}}}\n"
    "\\usepackage[margin=2cm]{geometry}\n\\begin{document}\n"
)
"""The start of a document that contains the tables."""

WIDTHS_CM = (8.5, 12.2, 17.4)
"""A column of a two-column page, the text of Springer's proceedings, and a two-column page."""

DROPPABLE = ("delta", "spread")
"""What may be left out beside columns: differences, and deviations of all but the average."""

_SIZES = (("small", 9.0, 6.0), ("small", 9.0, 3.0), ("footnotesize", 8.0, 3.0))
_SMALLEST = ("scriptsize", 7.0, 3.0)
"""Size, its points in a document of 10 pt, and the space at both sides of a column in points."""

_DELTA = "Δ"
_POINTS_PER_CM = 72.27 / 2.54

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "–": "--",
    "†": r"$\dagger$",
    "Δ": r"$\Delta$",
    "→": r"$\to$",
    "°": r"$^{\circ}$",
    "|": "$|$",
    "<": "$<$",
    ">": "$>$",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LatexStyle:
    """How tables are set.

    Attributes:
        width_cm: Width that a table may have. Wider than a column of a two-column page it is a
            `table*`, which is a `table` in a document of one column.
        label: Label; empty for one of the table's name.
        is_short: True for the caption without fingerprints and remarks.
        dropped: Printed names of columns to leave out, or one of `DROPPABLE`.
    """

    width_cm: float = 12.2
    label: str = ""
    is_short: bool = False
    dropped: tuple[str, ...] = ()


class Tex(NamedTuple):
    """A cell as LaTeX code, and its width in ems."""

    code: str
    ems: float


def render_latex(table: ReportTable, style: LatexStyle | None = None) -> str:
    """A `table` environment, for documents with `PACKAGES`.

    Raises:
        ConfigError: A column to be left out is not in the table.
    """
    return render_panels((table,), style)


def render_panels(tables: Sequence[ReportTable], style: LatexStyle | None = None) -> str:
    """A `table` environment with tables of the same columns one below the other.

    Raises:
        ConfigError: A column to be left out is not in the tables.
    """
    chosen = style or LatexStyle()
    kept = [_without(table, chosen.dropped) for table in tables]
    header, body = _grid(kept)
    lines = short_caption_lines if chosen.is_short else caption_lines
    drafts = dict.fromkeys(line for table in kept for line in draft_lines(table))
    words = dict.fromkeys(line for table in kept for line in lines(table))
    bold = (f"\\textbf{{{escape(line)}}}" for line in drafts)
    baseline = kept[0].baseline
    delta = [f"{_DELTA}: difference of the average to that of {baseline}."] if baseline else []
    caption = " ".join((*bold, *map(escape, [*words, *delta])))
    return latex_table(caption, kept[0].name, header, body, chosen)


def fits(tables: Sequence[ReportTable], style: LatexStyle) -> float | None:
    """The width in cm that tables need at the smallest size; None if they fit."""
    header, body = _grid([_without(table, style.dropped) for table in tables])
    width_cm = _width_pt(header, body, *_SMALLEST[1:]) / _POINTS_PER_CM
    return width_cm if width_cm > style.width_cm else None


def latex_table(
    caption: str,
    name: str,
    header: Sequence[str],
    body: Sequence[Sequence[Tex]],
    style: LatexStyle | None = None,
) -> str:
    """A `table` environment, in the largest size that fits, and never below 7 pt.

    Args:
        caption: LaTeX code.
        name: The label, unless the style has one.
        header: Plain text.
        body: Lines of cells; one with a single cell is a heading over all columns.
        style: The style.
    """
    chosen = style or LatexStyle()
    limit = chosen.width_cm * _POINTS_PER_CM
    size, _, space = next(
        (s for s in _SIZES if _width_pt(header, body, *s[1:]) <= limit), _SMALLEST
    )
    float_ = "table*" if chosen.width_cm > WIDTHS_CM[0] else "table"
    label = chosen.label or f"tab:{name}"
    return "\n".join(
        [
            f"% needs \\usepackage{{{','.join(PACKAGES)}}}; set for {chosen.width_cm:g} cm",
            f"\\begin{{{float_}}}[t]",
            "\\centering",
            f"\\caption{{{caption}}}",
            f"\\label{{{label}}}",
            "\\smallskip",
            f"\\{size}",
            f"\\setlength{{\\tabcolsep}}{{{space:g}pt}}",
            f"\\begin{{tabular}}{{@{{}}l{'r' * (len(header) - 1)}@{{}}}}",
            "\\toprule",
            " & ".join(map(escape, header)) + r" \\",
            "\\midrule",
            *(_line(cells, len(header)) for cells in body),
            "\\bottomrule",
            "\\end{tabular}",
            f"\\end{{{float_}}}",
            "",
        ]
    )


def latex_document(tables: str) -> str:
    """A complete document with the tables."""
    return f"{PREAMBLE}{tables}\\end{{document}}\n"


def escape(text: str) -> str:
    """Text with LaTeX's special characters escaped."""
    text = text.replace("->", "→")
    return "".join(_ESCAPES.get(character, character) for character in text)


def plain_cells(texts: Sequence[str]) -> list[Tex]:
    """Cells of plain text."""
    return [Tex(escape(text), _ems(text)) for text in texts]


def _line(cells: Sequence[Tex], count: int) -> str:
    if len(cells) == 1:
        return f"\\multicolumn{{{count}}}{{@{{}}l}}{{\\textit{{{cells[0].code}}}}} \\\\"
    return " & ".join(cell.code for cell in cells) + r" \\"


def _without(table: ReportTable, dropped: Sequence[str]) -> ReportTable:
    """The table without some columns, its differences or the deviations of its columns."""
    for name in dropped:
        if name not in (*table.columns, *DROPPABLE):
            known = (*table.columns, *DROPPABLE)
            raise ConfigError(
                f"--drop {name}: no column of the table{nearest(name, list(known))}; it has"
                f" {', '.join(known)}"
            )
    kept = [i for i, column in enumerate(table.columns) if column not in dropped]
    rows = []
    last = len(table.columns) - 1
    for row in table.rows:
        cells = [
            replace(row.cells[i], deviation=None)
            if "spread" in dropped and i != last
            else row.cells[i]
            for i in kept
        ]
        rows.append(replace(row, cells=tuple(cells)))
    return replace(
        table,
        columns=tuple(table.columns[i] for i in kept),
        rows=tuple(rows),
        baseline=None if "delta" in dropped else table.baseline,
    )


class _Room(NamedTuple):
    """What every cell of a column has room for, so that digits stand below each other.

    Attributes:
        spread: The longest deviation; empty without any.
        stars: The longest marks of significance.
    """

    spread: str
    stars: str


def _grid(tables: Sequence[ReportTable]) -> tuple[list[str], list[list[Tex]]]:
    """Header and lines of tables with the same columns, each below its metric if there are more."""
    first = tables[0]
    header = [first.row_header, *first.columns]
    header += [_DELTA] if first.baseline else []
    columns = [
        [(row.cells[i], table.digits) for table in tables for row in table.rows]
        for i in range(len(first.columns))
    ]
    rooms = [
        _Room(
            spread=max((_spread(cell, digits) for cell, digits in cells), key=len, default=""),
            stars=max((cell.stars for cell, _ in cells), key=len, default=""),
        )
        for cells in columns
    ]
    body = []
    for table in tables:
        if len(tables) > 1:
            body.append(plain_cells([table.measure]))
        body += [_cells(row, table, rooms) for row in table.rows]
    return header, body


def _spread(cell: Cell, digits: int) -> str:
    return "" if cell.deviation is None else number(cell.deviation, digits)


def _cells(row: TableRow, table: ReportTable, rooms: Sequence[_Room]) -> list[Tex]:
    pairs = zip(row.cells, rooms, strict=True)
    cells = [_name(row), *(_cell(cell, table.digits, room) for cell, room in pairs)]
    if table.baseline:
        has_none = row.label == table.baseline or row.origin is Origin.PUBLISHED
        cells += plain_cells(["" if has_none else delta_text(row.delta, table.digits)])
    if row.origin is Origin.PUBLISHED:
        cells = [Tex(f"\\textcolor{{gray}}{{{code}}}", ems) for code, ems in cells]
    return cells


def _name(row: TableRow) -> Tex:
    """The label; a published row's with its citation."""
    if not row.cite:
        return Tex(escape(row_name(row)), _ems(row_name(row)))
    label = row.label.removesuffix(" [published]")
    return Tex(f"{escape(label)}~\\cite{{{row.cite}}}", _ems(f"{label} [99]"))


def _cell(cell: Cell, digits: int, room: _Room) -> Tex:
    """The value, its deviation and its stars, each in the column's room for it."""
    if cell.value is None:
        has_seeds = cell.seeds_done == cell.seeds_planned
        return plain_cells(["–" if has_seeds else f"– ({seeds_text(cell)})"])[0]
    value, spread = number(cell.value, digits), _spread(cell, digits)
    code, ems = value, _ems(value)
    if cell.mark is Mark.BEST:
        code, ems = f"\\textbf{{{value}}}", _BOLD * ems
    elif cell.mark is Mark.SECOND:
        code = f"\\underline{{{value}}}"
    if room.spread:
        filler = "0" * (len(room.spread) - len(spread))
        padded = f"\\phantom{{{filler}}}{spread}" if filler else spread
        code += f"\\,$\\pm$\\,{padded}" if spread else f"\\phantom{{\\,$\\pm$\\,{room.spread}}}"
        ems += _ems(f"±{room.spread}")
    if room.stars:
        own, widest = (stars.replace("°", r"\circ ").strip() for stars in (cell.stars, room.stars))
        code += f"\\rlap{{$^{{{own}}}$}}" if own else ""
        code += f"\\phantom{{$^{{{widest}}}$}}"
        ems += _STAR * len(room.stars)
    if cell.n_undefined:
        words = f" ({cell.n_undefined} undef.)"
        code, ems = code + words, ems + _ems(words)
    return Tex(code, ems)


_STAR = 0.5
"""Width of a star in a superscript in ems of the text's size."""

_BOLD = 1.15
"""Widths of bold glyphs relative to upright ones."""


def _width_pt(
    header: Sequence[str], body: Sequence[Sequence[Tex]], size_pt: float, space_pt: float
) -> float:
    """Width of a table in points, set in Computer Modern; other fonts of papers are narrower."""
    lines = [[cell.ems for cell in line] for line in body if len(line) > 1]
    widths: list[float] = [max(column) for column in zip(map(_ems, header), *lines, strict=True)]
    return sum(widths) * size_pt * _STRETCH[size_pt] + 2 * space_pt * (len(widths) - 1)


_STRETCH: dict[float, float] = {9.0: 1.03, 8.0: 1.065, 7.0: 1.14}
"""Glyphs of small sizes are relatively wider: a digit has 0.57 em at 7 pt and 0.51 em at 9 pt."""

_WIDTHS = {
    "a": 500, "b": 556, "c": 444, "d": 556, "e": 444, "f": 306, "g": 500, "h": 556, "i": 278,
    "j": 306, "k": 528, "l": 278, "m": 833, "n": 556, "o": 500, "p": 556, "q": 528, "r": 392,
    "s": 394, "t": 389, "u": 556, "v": 528, "w": 722, "x": 528, "y": 528, "z": 444, "A": 750,
    "B": 708, "C": 722, "D": 764, "E": 681, "F": 653, "G": 785, "H": 750, "I": 361, "J": 514,
    "K": 778, "L": 625, "M": 917, "N": 750, "O": 778, "P": 681, "Q": 778, "R": 736, "S": 556,
    "T": 722, "U": 750, "V": 750, "W": 1028, "X": 750, "Y": 750, "Z": 611, ".": 278, ",": 278,
    ":": 278, ";": 278, "-": 333, " ": 333, "(": 389, ")": 389, "[": 278, "]": 278, "/": 500,
    "|": 278, "+": 778, "%": 833, "Δ": 833, "±": 1112, "†": 444,
}  # fmt: skip
"""Widths of Computer Modern's glyphs at 10 pt in thousandths of an em; a digit has 500."""


def _ems(text: str) -> float:
    """Width of a text in ems."""
    return (
        sum(_WIDTHS.get(character, 560 if character.isalpha() else 500) for character in text)
        / 1000
    )
