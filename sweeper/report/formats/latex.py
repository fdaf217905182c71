"""Renders tables in LaTeX with booktabs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

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
    from collections.abc import Iterable, Sequence

    from sweeper.report.table import Cell, ReportTable, TableRow

PREAMBLE = (
    "\\documentclass{article}\n\\usepackage[T1]{fontenc}\n\\usepackage{booktabs,graphicx,xcolor}\n"
    "\\usepackage[margin=2cm]{geometry}\n\\begin{document}\n"
)
"""The start of a document that contains the tables."""

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
    "°": r"$^{\circ}$",
    "→": r"$\to$",
    "->": r"$\to$",
    "<": "$<$",
    ">": "$>$",
}


def render_latex(table: ReportTable) -> str:
    """A `table` environment; needs booktabs, graphicx and xcolor."""
    header = [table.row_header, *table.columns, *([delta_header(table)] if table.baseline else [])]
    body = [_cells(row, table) for row in table.rows]
    drafts = [f"\\textbf{{{escape(line)}}}" for line in draft_lines(table)]
    words = " ".join([*drafts, *map(escape, caption_lines(table))])
    return latex_table(words, table.name, header, body)


def latex_table(
    caption: str, name: str, header: Sequence[str], body: Iterable[Sequence[str]]
) -> str:
    """A `table` environment; caption and cells are LaTeX already, the header is plain text."""
    return "\n".join(
        [
            "\\begin{table}[t]",
            "\\centering",
            f"\\caption{{{caption}}}",
            f"\\label{{tab:{name}}}",
            "\\smallskip",
            "\\resizebox{\\textwidth}{!}{%",
            f"\\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
            "\\toprule",
            " & ".join(map(escape, header)) + r" \\",
            "\\midrule",
            *(" & ".join(cells) + r" \\" for cells in body),
            "\\bottomrule",
            "\\end{tabular}}",
            "\\end{table}",
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


def _cells(row: TableRow, table: ReportTable) -> list[str]:
    cells = [escape(row_name(row)), *(_cell(cell, table.digits) for cell in row.cells)]
    if table.baseline:
        cells.append(escape(delta_text(row.delta, table.digits)))
    if row.origin is Origin.PUBLISHED:
        cells = [f"\\textcolor{{gray}}{{{cell}}}" for cell in cells]
    return cells


def _cell(cell: Cell, digits: int) -> str:
    text = escape(cell_text(replace(cell, stars=""), digits))
    marked = {Mark.BEST: f"\\textbf{{{text}}}", Mark.SECOND: f"\\underline{{{text}}}", None: text}
    return marked[cell.mark] + (f"$^{{{_stars(cell.stars)}}}$" if cell.stars else "")


def _stars(stars: str) -> str:
    """The marks of significance inside a superscript."""
    return stars.replace("°", r"\circ ").rstrip()
