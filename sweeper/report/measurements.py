"""Pools the measurements of a cell from the entries, depending on the direction."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from desam_model.scoring.metric_table import MAIN, metrics
from sweeper.config.sources import domains_in
from sweeper.records import in_domain_test
from sweeper.report.encoder_names import column_name
from sweeper.report.entries import REFERENCE_METHOD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from desam_model.scoring.metric_table import Metric
    from sweeper.config.report import ReportSpec
    from sweeper.report.entries import Entry
    from sweeper.tracking.tracker import Score

_PAIR = " -> "

CaseShares = frozenset[tuple[tuple[str, tuple[str, str, str]], float]]
"""((group, case), share of seeds) of every case that a cell is computed from."""


class Measurement(NamedTuple):
    """One metric value of one case.

    Attributes:
        group: Domain within which the `sites` aggregator averages.
        case: (domain, case id, structure); rows of a column are compared only on the same cases.
        patient: (domain, patient); tests and intervals treat patients as units.
        value: In the printed unit, such as percent; nan if undefined.
        is_worst: True if the prediction is empty and `undefined: worst` set the value.
    """

    group: str
    case: tuple[str, str, str]
    patient: tuple[str, str]
    value: float
    is_worst: bool = False


@dataclass(frozen=True, slots=True)
class Pool:
    """The measurements of one cell and seed.

    Attributes:
        numbers: Measurements by structure.
        planned: Number of planned entries.
        done: Number of entries whose scores exist.
    """

    numbers: dict[str, list[Measurement]]
    planned: int
    done: int


def pools(
    entries: Sequence[Entry],
    spec: ReportSpec,
    domains: Sequence[str],
    sources: Sequence[str] | None = None,
) -> dict[str, dict[str, Pool]]:
    """Column -> seed -> pool, for the entries of one row.

    Args:
        entries: The entries of one row.
        spec: The query; `matrix` columns are named `source -> target`.
        domains: All domains of the dataset, in order.
        sources: All sources of the table, whose columns an upper bound fills; by default each
            domain.
    """
    sources = sources or domains
    numbers: dict[tuple[str, str], dict[str, list[Measurement]]] = defaultdict(
        lambda: defaultdict(list)
    )
    planned: dict[tuple[str, str], int] = defaultdict(int)
    done: dict[tuple[str, str], int] = defaultdict(int)
    for entry in entries:
        pairs = planned_pairs(entry, domains, sources)
        is_measured = entry.measures(spec.metric, spec.protocol)
        for column in filter(None, dict.fromkeys(column_of(spec, entry, *pair) for pair in pairs)):
            planned[column, entry.seed] += 1
            done[column, entry.seed] += is_measured
        if is_measured:
            _collect(entry, spec, pairs, numbers)
    by_column: dict[str, dict[str, Pool]] = defaultdict(dict)
    for (column, seed), count in planned.items():
        by_column[column][seed] = Pool(numbers[column, seed], count, done[column, seed])
    for column in _uncovered(entries, spec, domains, sources):
        by_column.pop(column, None)
    return by_column


def _uncovered(
    entries: Sequence[Entry], spec: ReportSpec, domains: Sequence[str], sources: Sequence[str]
) -> list[str]:
    """Columns in which a cross-validated upper bound lacks sites.

    Its column pools the held-out cases of all other sites; if one of them was never planned, the
    mean over the rest is not what the column says.
    """
    by_site = [e for e in entries if e.values.get("method.variant") == "target_cv"]
    if spec.columns != "source" or not by_site:
        return []
    tested = {entry.source for entry in by_site}
    return [column for column in sources if set(domains) - {*domains_in(column)} - tested]


def case_shares(by_seed: Mapping[str, Pool], *, skips_undefined: bool) -> CaseShares:
    """The cases of a cell, each with the share of seeds in which it is included.

    Two cells may be compared only if these are equal: a row without the hard cases would win.
    """
    counts: dict[tuple[str, tuple[str, str, str]], int] = defaultdict(int)
    for pool in by_seed.values():
        for numbers in pool.numbers.values():
            for number in numbers:
                if not (skips_undefined and math.isnan(number.value)):
                    counts[number.group, number.case] += 1
    return frozenset((key, count / len(by_seed)) for key, count in counts.items())


def planned_pairs(
    entry: Entry, domains: Sequence[str], sources: Sequence[str] | None = None
) -> list[tuple[str, str]]:
    """The (source, target) pairs that an entry measures; source validation is on a source itself.

    Args:
        entry: The entry.
        domains: All domains of the dataset, in order.
        sources: As for `pools`.
    """
    if entry.method == REFERENCE_METHOD and entry.values.get("fold"):
        return _reference_pairs(entry, domains, sources or domains)
    target = entry.values.get("target")
    targets = [target] if target else list(domains)
    return [(entry.source, target) for target in targets]


def _reference_pairs(
    entry: Entry, domains: Sequence[str], sources: Sequence[str]
) -> list[tuple[str, str]]:
    """The pairs of an upper bound, whose held-out cases are targets of the other columns."""
    tested = domains_in(entry.source, domains)
    if entry.values.get("method.variant") == "source_cv":
        return [(entry.source, target) for target in tested]
    return [(s, target) for target in tested for s in sources if target not in domains_in(s)]


def _collect(
    entry: Entry,
    spec: ReportSpec,
    pairs: Sequence[tuple[str, str]],
    numbers: dict[tuple[str, str], dict[str, list[Measurement]]],
) -> None:
    metric = metrics()[spec.metric]
    columns: dict[str, set[str]] = defaultdict(set)
    for source, target in pairs:
        # a set, as pooled sources of an upper bound are one measurement per column
        columns[target].add(column_of(spec, entry, source, target))
    seed, group = entry.seed, entry.source if spec.columns == "target" else ""
    scores = list(entry.scores(spec.protocol))
    targets = {score.target for score in scores}
    for domain in entry.sources:
        test = in_domain_test(domain)
        if test in targets:  # it replaces validation on the diagonal
            columns[test] = columns.pop(domain, set())
    for score in scores:
        unit = (score.target, score.case, score.structure)
        patient = (score.target, score.patient or score.case)
        value, is_worst = score.values[metric.name], False
        if spec.undefined == "worst" and math.isnan(value):
            value = worst_value(metric, score)
            is_worst = not math.isnan(value)
        measured = Measurement(group or score.target, unit, patient, metric.scale * value, is_worst)
        for column in columns[score.target] - {""}:
            numbers[column, seed][score.structure].append(measured)


def worst_value(metric: Metric, score: Score) -> float:
    """What an undefined value counts as at worst; nan where that is not known.

    Only an empty prediction counts so. The reference of a scored case is never empty, so its Dice
    is then 0; a case without a mask, or with nothing left to compare, has no Dice either.
    """
    is_empty = score.values.get(MAIN.name) == 0.0
    return score.diagonal_mm if metric.worst == "diagonal" and is_empty else math.nan


def is_own_pair(column: str) -> bool:
    """True if a column of a matrix is a source tested on itself."""
    source, is_pair, target = column.partition(_PAIR)
    return bool(is_pair) and target in domains_in(source)


def column_of(spec: ReportSpec, entry: Entry, source: str, target: str) -> str:
    """Name of the column to which a pair belongs; empty if to none."""
    if spec.columns == "matrix":
        return f"{source}{_PAIR}{target}"
    is_own = entry.method == REFERENCE_METHOD and bool(entry.values.get("fold"))
    if target in domains_in(source) and not is_own:
        return ""
    if spec.columns == "source":
        return source
    if spec.columns == "target":
        return target
    if spec.columns == "by_structure":
        return entry.structure
    if spec.columns == "encoder":
        return column_name(entry.values)
    return f"{source} -> {target} {entry.structure}"
