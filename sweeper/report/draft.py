"""The draft gate: why a table may not be called final yet."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sweeper.errors import DraftError
from sweeper.records import TrialStatus
from sweeper.report.entries import REFERENCE_METHOD
from sweeper.report.searches import search_reasons
from sweeper.report.statistics.ranks import unequal_columns
from sweeper.report.table import Origin
from sweeper.report.words import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeper.report.entries import Entry
    from sweeper.report.query import Query
    from sweeper.report.table import ReportTable, TableRow

_SAME_EVERYWHERE = {
    "code_version": "training code",
    "dataset_fingerprint": "dataset",
    "encoder_fingerprint": "encoder",
}


def draft_reasons(query: Query, rows: Sequence[TableRow]) -> tuple[str, ...]:
    """Every reason why the table is a draft; empty where it may be published."""
    reasons = ["synthetic data"] if query.is_synthetic else []
    reasons += _missing(query)
    reasons += _holes(rows)
    reasons += _unplanned_sources(query)
    reasons += _uneven_seeds(query)
    reasons += _different_cases(query)
    reasons += _mixed(query)
    reasons += _uneven_budget(query)
    reasons += search_reasons(query)
    undefined = sum(row.cells[-1].n_undefined for row in rows)
    if undefined and query.spec.undefined != "skip":
        reasons.append(counted(undefined, "undefined case number"))
    return tuple(reasons)


def refuse_drafts(tables: Sequence[ReportTable]) -> None:
    """Let final tables pass.

    Raises:
        DraftError: Names every reason of every table.
    """
    reasons = dict.fromkeys(reason for table in tables for reason in table.draft_reasons)
    if reasons:
        raise DraftError(f"no final table: {'; '.join(reasons)}")


def _missing(query: Query) -> list[str]:
    protocol = query.spec.protocol
    absent = [e for e in query.planned if not e.measures(query.metric.name, protocol)]
    if not absent:
        return []
    by_status = Counter(_word(entry, query.metric.symbol, protocol) for entry in absent)
    how = ", ".join(f"{count} {word}" for word, count in sorted(by_status.items()))
    return [f"{len(absent)} of {len(query.planned)} scorings missing ({how})"]


def _holes(rows: Sequence[TableRow]) -> list[str]:
    """Cells that nobody planned, such as the other columns of masks imported for one source."""
    own = [row for row in rows if row.origin is not Origin.PUBLISHED and not row.is_mean]
    holes = {row.label: sum(cell.seeds_planned == 0 for cell in row.cells[:-1]) for row in own}
    return [
        f"{label} has no plan for {counted(count, 'cell')}"
        for label, count in holes.items()
        if count
    ]


def _unplanned_sources(query: Query) -> list[str]:
    """Sources that a row lacks inside its cells, where no dash can show it.

    A target's column pools the trainings on all other domains; `where` may restrict them aloud.
    """
    if query.spec.columns not in ("target", "matrix"):
        return []
    by_row = {
        label: {entry.source for entry in entries}
        for label, entries in query.rows.items()
        if label not in query.references
    }
    wanted = set.union(set(), *by_row.values())
    is_restricted = any(condition.split("=")[0] == "source" for condition in query.spec.where)
    if query.spec.columns == "target" and not is_restricted:
        wanted |= set(query.domains)
    return [
        f"{label} has no plan at source {', '.join(sorted(wanted - there))}"
        for label, there in by_row.items()
        if wanted - there
    ]


def _word(entry: Entry, metric: str, protocol: str) -> str:
    """Why an entry has no number, or none of the metric."""
    if entry.is_done:
        has_protocol = any(True for _ in entry.scores(protocol))
        return f"scored without {metric if has_protocol else f'protocol {protocol}'}"
    if entry.status is None:
        return "not run yet"
    has_ended_well = entry.status is TrialStatus.COMPLETED
    return "without numbers in MLflow" if has_ended_well else entry.status.value


def _uneven_seeds(query: Query) -> list[str]:
    """Cells planned with other seeds than the table's."""
    seeds: dict[tuple[str, ...], set[str]] = {}
    for entry in query.entries:
        if entry.label not in query.references:
            target = entry.values.get("target", "")
            cell = (entry.label, entry.source, entry.structure, target)
            seeds.setdefault(cell, set()).add(entry.seed)
    wanted = set.union(set(), *seeds.values())
    if all(found == wanted for found in seeds.values()):
        return []
    by_row: dict[str, set[int]] = {}
    for (label, *_), found in seeds.items():
        by_row.setdefault(label, set()).add(len(found))
    counts = ", ".join(
        f"{label} {' to '.join(map(str, sorted({min(n), max(n)})))}" for label, n in by_row.items()
    )
    return [f"cells have different seeds (of {len(wanted)}: {counts})"]


def _different_cases(query: Query) -> list[str]:
    """Columns whose rows are scored on different cases: the easier ones would win."""
    return [
        f"rows are scored on different cases in column {column}"
        f" ({', '.join(f'{label} {count}' for label, count in counts.items())})"
        for column, counts in unequal_columns(query).items()
    ]


def _mixed(query: Query) -> list[str]:
    reasons = []
    for tag, word in _SAME_EVERYWHERE.items():
        by_method: dict[str, set[str]] = {}
        for entry in query.entries:
            if entry.run is not None and entry.run.tags.get(tag):
                # each method has its own code; one method must have one
                scope = entry.method if tag == "code_version" else ""
                by_method.setdefault(scope, set()).add(entry.run.tags[tag])
        mixed = {scope: found for scope, found in by_method.items() if len(found) > 1}
        for scope, found in mixed.items():
            of = f" of {scope}" if scope else ""
            reasons.append(f"{len(found)} versions of the {word}{of}: {', '.join(sorted(found))}")
    return reasons


def _uneven_budget(query: Query) -> list[str]:
    """Rows that tried more trainings for a cell than others."""
    tried: dict[str, Counter[tuple[str, ...]]] = {}
    seen: set[str] = set()
    for entry in query.planned:
        if entry.method == REFERENCE_METHOD or entry.is_imported or entry.train_id in seen:
            continue
        seen.add(entry.train_id)
        label = entry.label if query.spec.select == "none" else entry.group
        cell = (entry.source, entry.structure, entry.seed)
        tried.setdefault(label, Counter())[cell] += 1
    counts = {label: sorted(set(found.values())) for label, found in tried.items()}
    if len({count for found in counts.values() for count in found}) <= 1:
        return []
    listed = ", ".join(f"{label} {' to '.join(map(str, n))}" for label, n in counts.items())
    return [f"search budgets differ (trainings tried for a cell: {listed})"]
