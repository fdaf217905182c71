"""A finished table: numbers, marks and words, before any format."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """Rank of a cell in its column, on unrounded values."""

    BEST = "best"
    SECOND = "second"


class Origin(StrEnum):
    """Where a row's numbers come from."""

    MEASURED = "measured"
    IMPORTED = "imported"
    PUBLISHED = "published"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One number of a table.

    Attributes:
        value: In the unit of print, such as percent; None where a seed is missing or nothing was
            planned; nan where undefined.
        deviation: Standard deviation over seeds, same unit; None with fewer than two seeds.
        seeds_done: Seeds that are wholly there.
        seeds_planned: Seeds that the plan wants.
        n_cases: Cases (pairs of source and case where sources are pooled) behind one seed's value.
        n_undefined: Cases of all seeds whose number is undefined.
        mark: Its rank in the column, if marked.
        stars: `*`, `**` or `***` where it differs from the baseline row's.
    """

    value: float | None
    deviation: float | None = None
    seeds_done: int = 0
    seeds_planned: int = 0
    n_cases: int = 0
    n_undefined: int = 0
    mark: Mark | None = None
    stars: str = ""

    @property
    def is_complete(self) -> bool:
        """True if a plan exists for the cell and every seed of it is there."""
        return self.seeds_planned > 0 and self.seeds_done == self.seeds_planned


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """One row.

    Attributes:
        label: What it is called.
        cells: One for each column of the table.
        delta: Difference of the last column to the baseline row; None without one.
        origin: Where its numbers come from.
        note: What a reader must know of the row, such as its citation.
        is_reference: True for an upper bound, which takes no part in ranks.
        is_mean: True for the last row of a matrix, the mean over the others.
        is_unconverged: True if a training of it may be undertrained.
    """

    label: str
    cells: tuple[Cell, ...]
    delta: float | None = None
    origin: Origin = Origin.MEASURED
    note: str = ""
    is_reference: bool = False
    is_mean: bool = False
    is_unconverged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTable:
    """One table with all that must be printed with it.

    Attributes:
        name: Short name for files, such as `ablation`.
        title: First line of the caption; may be empty.
        row_header: What rows are.
        columns: Names of the columns, the average last.
        rows: In order.
        caption: Sentences that say what every number is.
        notes: Remarks below the table.
        draft_reasons: Why it is no final table; empty if it is.
        is_synthetic: True if any number comes from the phantom.
        baseline: Label of the row that `delta` is taken against.
        is_lower_better: True for distances.
        digits: Decimals of its numbers.
    """

    name: str
    title: str
    row_header: str
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]
    caption: tuple[str, ...]
    notes: tuple[str, ...]
    draft_reasons: tuple[str, ...]
    is_synthetic: bool
    baseline: str | None
    is_lower_better: bool
    digits: int
