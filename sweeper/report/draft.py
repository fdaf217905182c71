"""The draft gate: the reasons why a table is not final."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sweeper.config.sources import domains_in
from sweeper.errors import DraftError
from sweeper.records import TrialStatus
from sweeper.report.convergence import convergence_reasons, unequal_budgets
from sweeper.report.entries import REFERENCE_METHOD, row_keys
from sweeper.report.pretraining import encoder_of_row, random_weights
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
    """Every reason why the table is a draft; empty if it may be published."""
    reasons = ["synthetic data"] if query.is_synthetic else []
    reasons += random_weights(query)
    reasons += _missing(query)
    reasons += _holes(rows)
    reasons += _unplanned_sources(query)
    reasons += _uneven_seeds(query)
    reasons += _different_cases(query)
    reasons += _mixed(query)
    reasons += convergence_reasons(query)
    declared = query.spec.unequal
    reasons += [] if "search" in declared else [*_uneven_budget(query), *search_reasons(query)]
    reasons += [words for name, words in unequal_budgets(query).items() if name not in declared]
    undefined = sum(row.cells[-1].n_undefined for row in rows)
    if undefined and query.spec.undefined != "skip":
        reasons.append(counted(undefined, "undefined case number"))
    return tuple(reasons)


def refuse_drafts(tables: Sequence[ReportTable]) -> None:
    """Raise if a table is a draft.

    Raises:
        DraftError: Lists the reasons of all tables.
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
    """Cells that were not planned, such as other columns of masks imported for one source."""
    measured = [row for row in rows if row.origin is not Origin.PUBLISHED and not row.is_mean]
    holes = {row.label: sum(cell.seeds_planned == 0 for cell in row.cells[:-1]) for row in measured}
    return [
        f"{label} has no plan for {counted(count, 'cell')}"
        for label, count in holes.items()
        if count
    ]


def _unplanned_sources(query: Query) -> list[str]:
    """Sources that are missing inside a row's cells, where no dash can show it.

    A target's column pools the trainings on all other domains, unless `where` restricts them.
    """
    if query.spec.columns not in ("target", "matrix", "by_structure"):
        return []
    by_row = {
        label: {entry.source for entry in entries}
        for label, entries in query.rows.items()
        if label not in query.references
    }
    expected = set.union(set(), *by_row.values())
    is_restricted = any(condition.split("=")[0] == "source" for condition in query.spec.where)
    has_several = any(len(domains_in(source)) > 1 for source in expected)
    if query.spec.columns == "target" and not is_restricted and not has_several:
        expected |= set(query.domains)
    return [
        f"{label} has no plan at source {', '.join(sorted(expected - planned))}"
        for label, planned in by_row.items()
        if expected - planned
    ]


def _word(entry: Entry, metric: str, protocol: str) -> str:
    """Why an entry has no value of the metric under the protocol."""
    if entry.is_done:
        has_protocol = any(True for _ in entry.scores(protocol))
        return f"scored without {metric if has_protocol else f'protocol {protocol}'}"
    if entry.status is None:
        return "not run yet"
    has_ended_well = entry.status is TrialStatus.COMPLETED
    return "without numbers in MLflow" if has_ended_well else entry.status.value


def _uneven_seeds(query: Query) -> list[str]:
    """Cells that lack seeds which other cells of the table have."""
    seeds: dict[tuple[str, ...], set[str]] = {}
    for entry in query.entries:
        if entry.label not in query.references:
            target = entry.values.get("target", "")
            cell = (entry.label, entry.source, entry.structure, target)
            seeds.setdefault(cell, set()).add(entry.seed)
    all_seeds = set.union(set(), *seeds.values())
    if all(of_cell == all_seeds for of_cell in seeds.values()):
        return []
    by_row: dict[str, set[int]] = {}
    for (label, *_), of_cell in seeds.items():
        by_row.setdefault(label, set()).add(len(of_cell))
    counts = ", ".join(
        f"{label} {' to '.join(map(str, sorted({min(n), max(n)})))}" for label, n in by_row.items()
    )
    return [f"cells have different seeds (of {len(all_seeds)}: {counts})"]


def _different_cases(query: Query) -> list[str]:
    """Columns whose rows are scored on different cases: a row with easier cases would win."""
    return [
        f"rows are scored on different cases in column {query.shown(column)}"
        f" ({', '.join(f'{label} {count}' for label, count in counts.items())})"
        for column, counts in unequal_columns(query).items()
    ]


def _mixed(query: Query) -> list[str]:
    reasons = []
    keys = row_keys(query.planned, query.spec.rows)
    for tag, word in _SAME_EVERYWHERE.items():
        by_method: dict[str, set[str]] = {}
        for entry in query.entries:
            if entry.run is not None and entry.run.tags.get(tag):
                # methods have different code, but a method must have only one version
                scope = entry.method if tag == "code_version" else ""
                if tag == "encoder_fingerprint":  # a row of the table may be an encoder
                    scope = encoder_of_row(entry, keys)
                by_method.setdefault(scope, set()).add(entry.run.tags[tag])
        mixed = {scope: versions for scope, versions in by_method.items() if len(versions) > 1}
        for scope, versions in mixed.items():
            of = f" of {scope}" if scope else ""
            listed = ", ".join(sorted(versions))
            reasons.append(f"{len(versions)} versions of the {word}{of}: {listed}")
    return reasons


def _uneven_budget(query: Query) -> list[str]:
    """Rows with a different number of trainings per cell."""
    tried: dict[str, Counter[tuple[str, ...]]] = {}
    seen: set[str] = set()
    for entry in query.planned:
        if entry.method == REFERENCE_METHOD or entry.is_imported or entry.train_id in seen:
            continue
        seen.add(entry.train_id)
        label = entry.label if query.spec.select == "none" else entry.group
        cell = (entry.source, entry.structure, entry.seed)
        tried.setdefault(label, Counter())[cell] += 1
    counts = {label: sorted(set(by_cell.values())) for label, by_cell in tried.items()}
    if len({count for of_row in counts.values() for count in of_row}) <= 1:
        return []
    listed = ", ".join(f"{label} {' to '.join(map(str, n))}" for label, n in counts.items())
    return [f"search budgets differ (trainings tried for a cell: {listed})"]
