"""Published results as separate rows: cited, dimmed, never ranked against measured rows."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.config.yaml_reader import read_yaml
from sweeper.report.table import Cell, Origin, TableRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sweeper.report.query import Query

_FILE = Path(__file__).parent / "published" / "desam2024.yaml"


def published_rows(query: Query, columns: Sequence[str]) -> list[TableRow]:
    """The paper's rows for the columns of a query; empty if the paper has no such table.

    By default they are added only with real data, all of the paper's source sites, and at least the
    paper's number of epochs: a smoke test needs no comparison with a paper.

    Args:
        query: The query of the table.
        columns: The table's columns without the average.
    """
    registry, spec = _registry(), query.spec
    names = registry["columns_named"]
    has_table = spec.metric == registry["metric"] and spec.columns == registry["columns"]
    if not has_table or not set(names) & set(columns) or not _is_wanted(query, columns, registry):
        return []
    note = f"{registry['citation']}{_difference(query, columns, registry)}"
    rows = []
    for label, numbers in registry["tables"].get(spec.rows, {}).items():
        *cells, overall = numbers
        by_name = dict(zip(names, cells, strict=True)) if cells else {}
        # the paper's average is valid only for all six columns
        average = overall if set(columns) == set(names) else None
        values = [*(by_name.get(column) for column in columns), average]
        rows.append(
            TableRow(
                label=f"{query.shown(label)} [published]",
                cells=tuple(Cell(value=value) for value in values),
                origin=Origin.PUBLISHED,
                note=note,
                cite=registry["bibtex"]["key"],
            )
        )
    return [row for row in rows if any(cell.value is not None for cell in row.cells)]


def bibliography(rows: Iterable[TableRow]) -> str:
    """BibTeX entries of what the rows cite; empty if they cite nothing."""
    if not any(row.cite for row in rows):
        return ""
    fields = dict(_registry()["bibtex"])
    head = f"@{fields.pop('type')}{{{fields.pop('key')},\n"
    return head + "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items()) + "}\n"


def _is_wanted(query: Query, columns: Sequence[str], registry: dict[str, Any]) -> bool:
    if query.spec.published is not None:
        return query.spec.published
    return (
        not query.is_synthetic
        and set(columns) == set(registry["columns_named"])
        and _min_epochs(query) >= registry["epochs"]
    )


def _min_epochs(query: Query) -> int:
    """Epochs of the table's shortest training; 0 if a training does not record them."""
    measured = [entry for entry in query.entries if not entry.is_imported]
    return min((int(entry.values.get("training.epochs") or 0) for entry in measured), default=0)


def _difference(query: Query, columns: Sequence[str], registry: dict[str, Any]) -> str:
    """Known differences from the protocol of the published results; empty if there are none."""
    spec, epochs = query.spec, _min_epochs(query)
    runs = [entry.run for entry in query.entries if entry.run is not None]
    encoders = {run.tags.get("encoder", "") for run in runs} - {""}  # image methods have no encoder
    differing = [
        f"{word} {registry[word]} against {value}"
        for word, value in (("protocol", spec.protocol), ("aggregate", spec.aggregate))
        if registry[word] != value
    ]
    if epochs < registry["epochs"]:
        differing.append(f"epochs {registry['epochs']} against {epochs or 'unknown'}")
    if encoders - {registry["encoder"]}:
        others = ", ".join(sorted(encoders))
        differing.append(f"encoder {registry['encoder']} against {others}")
    if set(columns) != set(registry["columns_named"]):
        differing.append("other source sites")
    differing += ["other data (this table's is synthetic)"] if query.is_synthetic else []
    return f"; protocol differs: {', '.join(differing)}" if differing else ""


@cache
def _registry() -> dict[str, Any]:
    return read_yaml(_FILE).value
