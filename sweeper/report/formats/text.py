"""Renders tables as Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

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

    from sweeper.report.table import Cell, ReportTable


def render_markdown(table: ReportTable) -> str:
    """A Markdown table with its caption below."""
    header = [table.row_header, *table.columns, *([delta_header(table)] if table.baseline else [])]
    lines = [f"> **{line}**\n" for line in draft_lines(table)]
    body = []
    for row in table.rows:
        label = f"*{row.label}*" if row.origin is Origin.PUBLISHED else row_name(row)
        cells = [label, *(_markdown_cell(cell, table.digits) for cell in row.cells)]
        body.append(cells + ([delta_text(row.delta, table.digits)] if table.baseline else []))
    return "\n".join([*lines, markdown_table(header, body, _escaped_caption(table))])


def markdown_table(
    header: Sequence[str], body: Iterable[Sequence[str]], notes: Iterable[str]
) -> str:
    """A Markdown table of rendered cells, with notes below it."""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    lines = map(_markdown_line, (header, rule, *body))
    return "\n".join([*lines, "", *(f"{note}  " for note in notes), ""])


def _escaped_caption(table: ReportTable) -> list[str]:
    return [line.replace("*", "\\*") for line in caption_lines(table)]


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _markdown_cell(cell: Cell, digits: int) -> str:
    text = cell_text(cell, digits).replace("*", "\\*")
    marked = {Mark.BEST: f"**{text}**", Mark.SECOND: f"<u>{text}</u>", None: text}
    return marked[cell.mark]


def render_csv(table: ReportTable) -> str:
    """A wide CSV: exact values, then deviations, seeds and stars; the caption as comments."""
    header = [table.row_header, "origin", *table.columns]
    header += [f"{column} sd" for column in table.columns]
    header += [f"{column} seeds" for column in table.columns]
    header += [f"{column} stars" for column in table.columns]
    lines: list[list[Any]] = [[*header, *([delta_header(table)] if table.baseline else [])]]
    for row in table.rows:
        numbers = [*(cell.value for cell in row.cells), *(cell.deviation for cell in row.cells)]
        seeds = [f"{cell.seeds_done}/{cell.seeds_planned}" for cell in row.cells]
        stars = [cell.stars for cell in row.cells]
        delta = [row.delta] if table.baseline else []
        lines.append([row_name(row), row.origin.value, *numbers, *seeds, *stars, *delta])
    return csv_table((*draft_lines(table), *caption_lines(table)), lines)


def csv_table(notes: Iterable[str], lines: Iterable[Sequence[Any]]) -> str:
    """A CSV text: notes as comments, then the lines, of which the first is the header."""
    stream = io.StringIO()
    stream.writelines(f"# {note}\n" for note in notes)
    csv.writer(stream, lineterminator="\n").writerows(lines)
    return stream.getvalue()


def render_json(table: ReportTable) -> str:
    """The whole table as JSON; undefined values and empty cells are null."""
    return json.dumps(_plain(asdict(table)), indent=1, ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
