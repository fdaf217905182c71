"""Texts that all formats share."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweeper.report.table import Cell, ReportTable, TableRow

SYNTHETIC = "SYNTHETIC DATA: made by the phantom, for trying out only."
DASH = "–"
DAGGER = "†"


def number(value: float, digits: int) -> str:
    """A value as printed in tables; `nan` if undefined."""
    return "nan" if math.isnan(value) else f"{value:.{digits}f}"


def row_name(row: TableRow) -> str:
    """A row's label, with a dagger where it may be undertrained."""
    return f"{row.label} {DAGGER}" if row.is_unconverged else row.label


def counted(count: int, noun: str) -> str:
    """Such as `1 cell` and `2 cells`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def cell_text(cell: Cell, digits: int, *, plus_minus: str = " ± ") -> str:
    """A cell's value, stars, deviation and counts; a dash with the number of finished seeds."""
    if cell.value is None:
        # an average may have all of its seeds and yet lack a column that was not planned
        has_seeds = cell.seeds_done == cell.seeds_planned
        return DASH if has_seeds else f"{DASH} ({seeds_text(cell)})"
    text = f"{number(cell.value, digits)}{cell.stars}"
    if cell.deviation is not None:
        text += f"{plus_minus}{number(cell.deviation, digits)}"
    if cell.n_undefined:
        text += f" ({cell.n_undefined} undef.)"
    return text


def seeds_text(cell: Cell) -> str:
    """Such as `2/3 seeds`."""
    return f"{cell.seeds_done}/{cell.seeds_planned} seeds"


def delta_text(delta: float | None, digits: int) -> str:
    """A difference with its sign."""
    return DASH if delta is None else f"{delta:+.{digits}f}"


def delta_header(table: ReportTable) -> str:
    """Header of the column of differences."""
    return f"Δ vs {table.baseline}"


def draft_lines(table: ReportTable) -> tuple[str, ...]:
    """The lines above a table: that its data is synthetic, that it is a draft, and why."""
    lines = [f"DRAFT: {'; '.join(table.draft_reasons)}."] if table.draft_reasons else []
    return (*([SYNTHETIC] if table.is_synthetic else []), *lines)


def caption_lines(table: ReportTable) -> tuple[str, ...]:
    """The lines below a table: title, caption, marks, notes, citations and provenance."""
    marks = ["Bold: best, underlined: second."] if has_marks(table) else []
    by_note: dict[str, list[str]] = {}
    for row in table.rows:
        by_note.setdefault(row.note, []).append(row.label)
    cited = [f"{', '.join(rows)}: {note}." for note, rows in by_note.items() if note]
    return (
        *([table.title] if table.title else []),
        *table.caption,
        *marks,
        *table.notes,
        *cited,
        *([table.provenance] if table.provenance else []),
    )


def without_provenance(table: ReportTable) -> ReportTable:
    """The table as shown to people who did not ask for fingerprints."""
    return replace(table, provenance="")


def short_caption_lines(table: ReportTable) -> tuple[str, ...]:
    """The lines of a paper's caption: without fingerprints, budgets that are equal, and remarks."""
    full = caption_lines(replace(table, caption=table.short_caption, notes=(), provenance=""))
    return tuple(line if line.endswith(".") else f"{line}." for line in full)


def has_marks(table: ReportTable) -> bool:
    """True if any cell is marked."""
    return any(cell.mark for row in table.rows for cell in row.cells)
