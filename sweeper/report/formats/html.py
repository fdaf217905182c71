"""A self-contained page with tables, figures and provenance, which requests nothing online."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Literal

from sweeper.report.figures import PNG_DPI
from sweeper.report.formats.html_details import details_html
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
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sweeper.report.formats.plain_table import PlainTable
    from sweeper.report.row_details import RowDetails
    from sweeper.report.table import Cell, ReportTable, TableRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The content of a page.

    Attributes:
        title: Title of the page.
        tables: The main tables.
        sides: Tables of statistics and costs.
        figures: Caption -> PNG file.
        provenance: Name -> value.
        rows: What stands behind the rows; may be empty.
        sources: Where the tables have their sources: `columns`, `rows` (a matrix), or nowhere.
    """

    title: str
    tables: Sequence[ReportTable]
    sides: Sequence[PlainTable]
    figures: Mapping[str, Path]
    provenance: Mapping[str, str]
    rows: Sequence[RowDetails] = ()
    sources: Literal["columns", "rows", ""] = ""


_STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1a1a1a; --dim: #5c5c5c;
  --warn: #b00020; --link: #00568c; --line: #8884 }
@media (prefers-color-scheme: dark) { :root { --paper: #121212; --ink: #e8e8e8; --dim: #b0b0b0;
  --warn: #ff8a80; --link: #56b4e9 } }
* { box-sizing: border-box }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 1200px; padding: 1rem;
  background: var(--paper); color: var(--ink) }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
.scroll { overflow-x: auto; max-width: 100% }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0;
  background: var(--paper) }
th { cursor: pointer } th:focus, .scroll:focus { outline: 2px solid var(--link) }
.published { color: var(--dim); font-style: italic }
.best { font-weight: 700 } .second { text-decoration: underline }
.warn { color: var(--warn); font-weight: 600; border-left: 4px solid; padding-left: .6rem }
.caption, figcaption { color: var(--dim); font-size: .85rem; max-width: 75ch }
figure { margin: 1.5rem 0 } figure img { width: 100%; height: auto; background: #fff }
details { margin: .4rem 0 } summary { cursor: pointer; color: var(--link) }
.curve { width: 160px; height: 48px; display: block } small { color: var(--dim) }
.curve polyline { fill: none; stroke: var(--link); stroke-width: 1.5 }
[hidden] { display: none }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; font-size: .85rem }
dd { margin: 0; overflow-wrap: anywhere }
@media (max-width: 600px) { body { font-size: 14px; padding: .6rem } dl { display: block }
  dd { margin: 0 0 .4rem } }
@media print {
  @page { size: A4; margin: 12mm }
  :root { --paper: #ffffff; --ink: #000000; --dim: #444444; --warn: #b00020; --link: #00568c }
  body { font-size: 9pt; max-width: none; padding: 0 } .controls { display: none }
  .scroll { overflow: visible } table { font-size: 7.5pt; width: 100% }
  th, td { padding: .1rem .25rem; white-space: normal } th { overflow-wrap: anywhere }
  th:first-child, td:first-child { position: static }
  tr, figure { break-inside: avoid } figure img { max-height: 240mm; object-fit: contain }
}
"""
_SCRIPT = """
for (const head of document.querySelectorAll("th")) {
  head.tabIndex = 0;
  const sort = () => {
    const body = head.closest("table").tBodies[0];
    const column = head.cellIndex;
    const falling = head.ariaSort !== "descending";
    for (const other of head.parentNode.children) other.ariaSort = "none";
    head.ariaSort = falling ? "descending" : "ascending";
    const key = (row) => {
      const cell = row.cells[column];
      const number = parseFloat(cell.dataset.value ?? cell.textContent);
      return Number.isNaN(number) ? null : number;
    };
    const text = (row) => row.cells[column].textContent;
    [...body.rows].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (column === 0) return falling ? text(b).localeCompare(text(a))
                                       : text(a).localeCompare(text(b));
      if (x === null || y === null) return (x === null) - (y === null);
      return falling ? y - x : x - y;
    }).forEach((row) => body.append(row));
  };
  head.addEventListener("click", sort);
  head.addEventListener("keydown", (e) => { if (e.key === "Enter") sort(); });
}
const chosen = document.querySelector("#source");
chosen?.addEventListener("change", () => {
  for (const part of document.querySelectorAll("[data-source]"))
    part.hidden = chosen.value !== "" && part.dataset.source !== chosen.value;
});
"""


def render_html(page: Page) -> str:
    """The page as one file; pictures are inside it."""
    warnings = dict.fromkeys(line for table in page.tables for line in draft_lines(table))
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<link rel="icon" href="data:,">',
        f"<title>{escape(page.title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(page.title)}</h1>",
        *(f'<p class="warn">{escape(line)}</p>' for line in warnings),
        _filter(page),
        *(html_table(table, page.sources) for table in page.tables),
        details_html(page.rows, page.tables[0].measure, page.tables[0].digits),
        *map(_side, page.sides),
        *(_figure(caption, path) for caption, path in page.figures.items()),
        "<h2>Provenance</h2>",
        _provenance(page.provenance),
        f"<script>{_SCRIPT}</script></body></html>\n",
    ]
    return "\n".join(parts)


def _filter(page: Page) -> str:
    """The choice of a source, which hides the others; empty with fewer than two."""
    names = dict.fromkeys(training.source for row in page.rows for training in row.trainings)
    if len(names) < 2:
        return ""
    options = "".join(f"<option>{escape(name)}</option>" for name in names)
    return (
        '<p class="controls"><label>Source <select id="source"><option value="">all</option>'
        f"{options}</select></label></p>"
    )


def html_table(table: ReportTable, sources: str = "") -> str:
    """A table with its caption as a fragment of a page; `sources` is that of a `Page`."""
    header = [table.row_header, *table.columns, *([delta_header(table)] if table.baseline else [])]
    rows = "\n".join(_row(row, table, sources) for row in table.rows)
    words = "".join(f"<br>{escape(line)}" for line in caption_lines(table))
    # the last column is an average, which is of no source
    of_source = table.columns[:-1] if sources == "columns" else ()
    grid = _grid(header, rows, of_source)
    return f'{grid}<p class="caption">{words.removeprefix("<br>")}</p>'


def _row(row: TableRow, table: ReportTable, sources: str) -> str:
    css = ' class="published"' if row.origin is Origin.PUBLISHED else ""
    if sources == "rows" and not row.is_mean:
        css += _source(row.label)
    places = [_source(name) if sources == "columns" else "" for name in table.columns[:-1]]
    cells = [
        f"<td>{escape(row_name(row))}</td>",
        *(
            _cell(cell, table.digits, place)
            for cell, place in zip(row.cells, [*places, ""], strict=True)
        ),
    ]
    if table.baseline:
        value = "" if row.delta is None else f' data-value="{row.delta!r}"'
        cells.append(f"<td{value}>{escape(delta_text(row.delta, table.digits))}</td>")
    return f"<tr{css}>{''.join(cells)}</tr>"


def _source(name: str) -> str:
    return f' data-source="{escape(name, quote=True)}"'


def _cell(cell: Cell, digits: int, place: str) -> str:
    css = {Mark.BEST: ' class="best"', Mark.SECOND: ' class="second"', None: ""}[cell.mark]
    value = "" if cell.value is None else f' data-value="{cell.value!r}"'
    return f"<td{css}{value}{place}>{escape(cell_text(cell, digits))}</td>"


def _side(table: PlainTable) -> str:
    rows = "\n".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows
    )
    notes = "<br>".join(map(escape, table.notes))
    heading = f"<h2>{escape(table.title)}</h2>"
    return f'{heading}{_grid(list(table.header), rows)}<p class="caption">{notes}</p>'


def _grid(header: Sequence[str], rows: str, of_source: Sequence[str] = ()) -> str:
    head = "".join(
        f"<th{_source(name) if name in of_source else ''}>{escape(name)}</th>" for name in header
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _figure(caption: str, path: Path) -> str:
    content = path.read_bytes()
    data = base64.b64encode(content).decode("ascii")
    # byte 16 of a PNG has its width; an inch on paper has 96 pixels on a page
    width = round(int.from_bytes(content[16:20], "big") * 96 / PNG_DPI)
    alt = escape(caption, quote=True)
    return (
        f'<figure><img alt="{alt}" style="max-width: {width}px"'
        f' src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _provenance(values: Mapping[str, str]) -> str:
    lines = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in values.items())
    return f"<dl>{lines}</dl>"
