"""Published figures as rows of their own: cited, dimmed, never ranked against measured ones."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.config.yaml_reader import read_yaml
from sweeper.report.table import Cell, Origin, TableRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeper.config.report import ReportSpec

_FILE = Path(__file__).parent / "published" / "desam2024.yaml"


def published_rows(
    spec: ReportSpec, columns: Sequence[str], *, is_synthetic: bool
) -> list[TableRow]:
    """The paper's rows for a query, under its columns; none where it printed no such table.

    Args:
        spec: The query; `published: null` means with real data only.
        columns: The table's columns without the average.
        is_synthetic: True if the table's own numbers come from the phantom.
    """
    registry = _registry()
    wanted = not is_synthetic if spec.published is None else spec.published
    has_table = spec.metric == registry["metric"] and spec.columns == registry["columns"]
    names = registry["columns_named"]
    if not wanted or not has_table or not set(names) & set(columns):
        return []
    note = f"{registry['citation']}{_difference(spec, registry, is_synthetic)}"
    rows = []
    for label, numbers in registry["tables"].get(spec.rows, {}).items():
        *cells, overall = numbers
        by_name = dict(zip(names, cells, strict=True)) if cells else {}
        values = [*(by_name.get(column) for column in columns), overall]
        rows.append(
            TableRow(
                label=f"{label} [published]",
                cells=tuple(Cell(value=value) for value in values),
                origin=Origin.PUBLISHED,
                note=note,
            )
        )
    return rows


def _difference(spec: ReportSpec, registry: dict[str, Any], is_synthetic: bool) -> str:
    """What makes the published numbers another protocol, if anything is known to."""
    differing = [
        f"{word} {registry[word]} against {value}"
        for word, value in (("protocol", spec.protocol), ("aggregate", spec.aggregate))
        if registry[word] != value
    ]
    differing += ["other data (this table's is synthetic)"] if is_synthetic else []
    return f"; protocol differs: {', '.join(differing)}" if differing else ""


@cache
def _registry() -> dict[str, Any]:
    return read_yaml(_FILE).value
