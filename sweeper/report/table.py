"""A finished table: values, marks and texts, independent of the output format."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """Rank of a cell in its column, by unrounded values."""

    BEST = "best"
    SECOND = "second"


class Origin(StrEnum):
    """Where the values of a row come from."""

    MEASURED = "measured"
    IMPORTED = "imported"
    PUBLISHED = "published"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell of a table.

    Attributes:
        value: In the printed unit, such as percent; None if a seed is missing or nothing was
            planned; nan if undefined.
        deviation: Standard deviation over seeds, in the same unit; None with fewer than two seeds.
        seeds_done: Number of finished seeds.
        seeds_planned: Number of planned seeds.
        n_cases: Cases per seed (pairs of source and case if sources are pooled).
        n_undefined: Number of cases, over all seeds, whose value is undefined.
        mark: Rank in the column, if marked.
        stars: `*` to `***` if it is significantly better than the baseline row's cell, `°` to
            `°°°` if it is worse.
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
        """True if the cell was planned and all of its seeds are finished."""
        return self.seeds_planned > 0 and self.seeds_done == self.seeds_planned


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """One row of a table.

    Attributes:
        label: Name of the row.
        cells: One cell per column of the table.
        delta: Difference from the baseline row in the last column; None without a baseline, in the
            baseline itself, and where either side is undefined.
        origin: Where its values come from.
        note: Information that readers need, such as a citation.
        cite: BibTeX key of a published row.
        is_reference: True for an upper bound, which is not ranked.
        is_mean: True for the last row of a matrix, the mean of the other rows.
        is_unconverged: True if a training of it may be undertrained.
    """

    label: str
    cells: tuple[Cell, ...]
    delta: float | None = None
    origin: Origin = Origin.MEASURED
    note: str = ""
    cite: str = ""
    is_reference: bool = False
    is_mean: bool = False
    is_unconverged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTable:
    """One table with all texts that are printed with it.

    Attributes:
        name: Short name for files, such as `ablation`.
        title: First line of the caption; may be empty.
        row_header: Meaning of the rows.
        columns: Names of the columns, the average last.
        rows: The rows in order.
        caption: Sentences that explain the values.
        notes: Remarks below the table.
        draft_reasons: Why the table is not final; empty if it is.
        is_synthetic: True if any value comes from the phantom.
        baseline: Label of the row that `delta` is relative to.
        is_lower_better: True for distances.
        digits: Number of decimals.
        short_caption: Sentences for a paper, without fingerprints and remarks.
        measure: Metric and unit, such as `Dice (%)`.
        draft_remedies: What to do about each of `draft_reasons`.
        provenance: Fingerprints of data and encoder; files have it, a terminal if asked.
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
    short_caption: tuple[str, ...] = ()
    measure: str = ""
    draft_remedies: tuple[str, ...] = ()
    provenance: str = ""
