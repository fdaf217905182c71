"""The draft gate: the reasons why a table is not final."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeper.config.sources import domains_in
from sweeper.errors import DraftError
from sweeper.records import TrialStatus
from sweeper.report.convergence import convergence_reasons, unequal_budgets
from sweeper.report.encoder_names import ENCODER_KEYS
from sweeper.report.entries import REFERENCE_METHOD, row_keys
from sweeper.report.formats.text import markdown_table
from sweeper.report.pretraining import encoder_of_row, random_weights
from sweeper.report.searches import search_reasons
from sweeper.report.statistics.ranks import unequal_columns
from sweeper.report.table import Origin
from sweeper.report.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sweeper.report.entries import Entry
    from sweeper.report.query import Query
    from sweeper.report.table import ReportTable, TableRow

_SAME_EVERYWHERE = {
    "code_version": "training code",
    "dataset_fingerprint": "dataset",
    "encoder_fingerprint": "encoder",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRule:
    """One condition of a final table.

    Attributes:
        condition: What a final table has or has not, as `docs/report.md` lists it.
        remedy: What to do where it is not so.
        reasons: The reasons why a table does not fulfil it, from its query and rows.
    """

    condition: str
    remedy: str
    reasons: Callable[[Query, Sequence[TableRow]], list[str]]


def draft_reasons(query: Query, rows: Sequence[TableRow]) -> dict[str, str]:
    """Every reason why the table is a draft, and what to do; empty if it may be published."""
    return {reason: rule.remedy for rule in GATE for reason in rule.reasons(query, rows)}


def refuse_drafts(tables: Sequence[ReportTable]) -> None:
    """Raise if a table is a draft.

    Raises:
        DraftError: Lists the reasons of all tables, one per line, with what to do.
    """
    reasons = {
        reason: remedy
        for table in tables
        for reason, remedy in zip(table.draft_reasons, table.draft_remedies, strict=True)
    }
    if reasons:
        listed = "".join(f"\n  {reason}: {remedy}" for reason, remedy in reasons.items())
        raise DraftError(f"no final table:{listed}")


def gate_table() -> str:
    """The conditions of a final table in Markdown, as they stand in `docs/report.md`."""
    rows = [(rule.condition, rule.remedy) for rule in GATE]
    return markdown_table(("a final table has", "what to do otherwise"), rows, ()).rstrip()


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
    if query.spec.columns not in ("target", "matrix", "by_structure", "encoder"):
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
                if tag == "encoder_fingerprint":  # rows or columns of the table may be encoders
                    is_column = query.spec.columns == "encoder"
                    scope = encoder_of_row(entry, ENCODER_KEYS if is_column else keys)
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


def _synthetic(query: Query) -> list[str]:
    return ["synthetic data"] if query.is_synthetic else []


def _uneven_searches(query: Query) -> list[str]:
    """Different numbers of trainings tried, unless the space declares them."""
    is_declared = "search" in query.spec.unequal
    return [] if is_declared else [*_uneven_budget(query), *search_reasons(query)]


def _undeclared_budgets(query: Query) -> list[str]:
    budgets = unequal_budgets(query)
    return [words for name, words in budgets.items() if name not in query.spec.unequal]


def _undefined(query: Query, rows: Sequence[TableRow]) -> list[str]:
    undefined = sum(row.cells[-1].n_undefined for row in rows)
    if not undefined or query.spec.undefined == "skip":
        return []
    return [counted(undefined, "undefined case number")]


def _of_query(find: Callable[[Query], list[str]]) -> Callable[..., list[str]]:
    """A rule that needs the query alone."""
    return lambda query, _: find(query)


def _of_rows(find: Callable[[Sequence[TableRow]], list[str]]) -> Callable[..., list[str]]:
    """A rule that needs the rows alone."""
    return lambda _, rows: find(rows)


GATE: tuple[GateRule, ...] = (
    GateRule(
        condition="no value from synthetic data",
        remedy="import real data with `sweeper data import`, and run the space on them with"
        " `--dataset NAME`",
        reasons=_of_query(_synthetic),
    ),
    GateRule(
        condition="no encoder with random weights",
        remedy="run the space with an encoder that has trained weights, such as `--encoder"
        " lite_medsam`",
        reasons=_of_query(random_weights),
    ),
    GateRule(
        condition="no scoring that is missing, failed, pruned or without its numbers in MLflow",
        remedy="run the space again; `sweeper status SPACE` says what failed and why, and `sweeper"
        " retry SPACE` repeats it",
        reasons=_of_query(_missing),
    ),
    GateRule(
        condition="a plan for every cell of every row",
        remedy="add the cells to the space and run it, import the missing masks with `sweeper"
        " score`, or choose rows and columns with `--where`",
        reasons=_of_rows(_holes),
    ),
    GateRule(
        condition="in target columns and the matrix, a plan for every source",
        remedy="add the sources to the space and run it, or choose one with `--where source=NAME`",
        reasons=_of_query(_unplanned_sources),
    ),
    GateRule(
        condition="the same seeds in every cell",
        remedy="give all rows the same `seeds:` and run the space",
        reasons=_of_query(_uneven_seeds),
    ),
    GateRule(
        condition="rows that are scored on the same cases",
        remedy="score the missing cases, or count undefined ones with `--undefined worst`",
        reasons=_of_query(_different_cases),
    ),
    GateRule(
        condition="one version of the training code per method, one dataset and one encoder",
        remedy="run the space again, which repeats what is stale, or show one of them with"
        " `--where`",
        reasons=_of_query(_mixed),
    ),
    GateRule(
        condition="no row that may be undertrained",
        remedy="raise `training.epochs` or change `training.lr`; `sweeper curves SPACE` shows how"
        " it learned",
        reasons=_of_query(convergence_reasons),
    ),
    GateRule(
        condition="the same number of searched trainings for every cell, by one rule",
        remedy="search all rows alike, or declare the difference with `report: {unequal:"
        " [search]}`",
        reasons=_of_query(_uneven_searches),
    ),
    GateRule(
        condition="the same epochs and optimiser steps in all rows",
        remedy="train all rows alike, or declare the difference with `report: {unequal: [epochs]}`"
        " or `[steps]`",
        reasons=_of_query(_undeclared_budgets),
    ),
    GateRule(
        condition="no undefined case",
        remedy="choose a rule for them with `--undefined skip` or `worst`; the caption names it",
        reasons=_undefined,
    ),
)
"""The conditions of a final table, in the order in which their reasons are printed."""
