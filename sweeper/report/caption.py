"""The caption and the notes of a table, which say what every number means."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from desam_model.scoring.protocol_table import PROTOCOLS
from sweeper.config.sources import domains_in, joined
from sweeper.records import domain_of, is_in_domain_test
from sweeper.report.aggregate import average_cell, make_cell
from sweeper.report.convergence import convergence_notes, unequal_budgets
from sweeper.report.measurements import planned_pairs
from sweeper.report.pretraining import encoder_words
from sweeper.report.searches import search_notes
from sweeper.report.statistics.ranks import find_row, unequal_columns
from sweeper.report.table import Origin
from sweeper.report.words import counted, delta_text, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeper.config.report import ReportSpec
    from sweeper.report.query import Query
    from sweeper.report.statistics.significance import TableTests
    from sweeper.report.table import TableRow

_DIRECTIONS = {
    "source": "Each column is a source site: trained on it, {others}",
    "target": "Each column is a target site: tested on it, {others}",
    "matrix": "Rows are sources, columns targets; the diagonal is source validation and in no mean",
    "structure": "Each column is a source, a target and a structure",
    "by_structure": "Each column is a structure (all sources and their targets)",
    "encoder": "Each column is an encoder (all sources and their targets)",
}
_ALL_DIRECTIONS = {
    "cases": "A cell is the mean over all pairs of source and case pooled",
    "sites": "A cell is the mean of the target sites' means",
}
_AGGREGATES = {
    "source": {
        "cases": "A cell is the mean over all target cases pooled",
        "sites": "A cell is the mean of the target sites' means",
    },
    "target": {
        "cases": "A cell is the mean over all pairs of source and case pooled",
        "sites": "A cell is the mean of the sources' means",
    },
    "by_structure": _ALL_DIRECTIONS,
    "encoder": _ALL_DIRECTIONS,
}


def caption(query: Query, rows: Sequence[TableRow]) -> tuple[str, ...]:
    """The caption: metric, direction, aggregator, protocol, seeds, counts, spread, data."""
    spec = query.spec
    aggregate = _AGGREGATES.get(spec.columns, {}).get(spec.aggregate, "A cell is the mean of cases")
    lines = [
        f"{query.metric.meaning} per case volume. {direction(query)}. {aggregate}, the last column"
        " the plain mean of the columns.",
        f"Protocol {spec.protocol}: {PROTOCOLS[spec.protocol].rule}. {_seeds(query)},"
        f" {_spread(query, rows)}; {_counts(query, rows)}.",
        _data(query),
    ]
    lines += empty_predictions(query)
    structures = sorted({e.structure for e in query.entries} - {""})
    pooled = any(len({e.structure for e in entries}) > 1 for entries in query.rows.values())
    if pooled and spec.columns not in ("structure", "by_structure"):
        lines.append(f"Plain mean over {len(structures)} structures: {', '.join(structures)}.")
    lines += _paired_ablations(query)
    if spec.where:
        lines.append(f"Only trainings with {', '.join(spec.where)}.")
    if spec.select != "none":
        lines.append(
            "Among searched trainings, each cell shows the best by source validation"
            f" ({spec.select}); targets unseen."
        )
    return tuple(lines)


_PAIRED_SINCE = 2
"""Version of DeSAM's training code since which ablations of one seed share their weights."""


def empty_predictions(query: Query) -> list[str]:
    """What an empty prediction counts as, and how often; nothing where its value is defined."""
    if query.metric.worst is None:
        return []
    numbers = [
        number
        for by_column in query.pools.values()
        for by_seed in by_column.values()
        for pool in by_seed.values()
        for measured in pool.numbers.values()
        for number in measured
    ]
    n, undefined = len(numbers), sum(math.isnan(number.value) for number in numbers)
    if query.spec.undefined != "worst":
        rule = "undefined, skipped" if query.spec.undefined == "skip" else "undefined"
        return [f"Empty prediction: {rule} ({undefined} of {n} numbers)."]
    worst = sum(number.is_worst for number in numbers)
    line = f"Empty prediction: the diagonal of the scan ({worst} of {n} numbers)"
    if undefined:
        line += f"; {undefined} more undefined, without a mask or a recorded diagonal"
    return [f"{line}."]


def _paired_ablations(query: Query) -> list[str]:
    """What the two rows without fusion differ by: with one seed their PDMM has the same weights."""
    rows = [
        entry
        for entry in query.entries
        if entry.values.get("method.ablation") in ("pdmm_only", "iou_head")
    ]
    versions = [
        re.fullmatch(r"desam-(\d+)", entry.run.tags.get("code_version", ""))
        for entry in rows
        if entry.run is not None
    ]
    is_paired = all(found and int(found[1]) >= _PAIRED_SINCE for found in versions)
    if len({entry.values["method.ablation"] for entry in rows}) < 2 or not is_paired:
        return []
    return [
        "iou_head differs from pdmm_only by the gate alone: its mask is empty where no prompt's"
        " predicted IoU passes the threshold."
    ]


def direction(query: Query) -> str:
    """The meaning of a column, a sentence with the domains it was tested or trained on."""
    words = _DIRECTIONS[query.spec.columns]
    if query.spec.columns == "matrix" and _has_test(query):
        words = words.replace("source validation", "the source's own test cases (in-domain test)")
    if "{others}" not in words:
        return words
    is_source = query.spec.columns == "source"
    partners: dict[str, set[str]] = {}
    for entry in query.entries:
        if entry.label not in query.references:
            for source, target in planned_pairs(entry, query.domains):
                if target not in domains_in(source):
                    column, other = (source, target) if is_source else (target, source)
                    partners.setdefault(column, set()).add(other)
    verb, each = ("tested on", "all others") if is_source else ("trained on", "each other site")
    rest = {c: [d for d in query.domains if d not in domains_in(c)] for c in partners}
    if len(query.domains) > 2:
        if all(set(rest[column]) == others for column, others in partners.items()):
            return words.format(others=f"{verb} {each}")
        if all({joined(rest[column])} == others for column, others in partners.items()):
            return words.format(others=f"{verb} all others together")
    by_others: dict[str, list[str]] = {}
    for column, others in partners.items():
        names = " and ".join(query.shown(s) for s in query.sources if s in others)
        by_others.setdefault(names, []).append(query.shown(column))
    if len(by_others) == 1:
        return words.format(others=f"{verb} {next(iter(by_others))}")
    listed = "; ".join(f"{', '.join(columns)}: {names}" for names, columns in by_others.items())
    return words.format(others=f"{verb} {listed}")


def tests_caption(tests: TableTests | None) -> tuple[str, ...]:
    """The meaning of the stars, and the rows that were not tested."""
    if tests is None:
        return ()
    stars = (
        f"Stars: * better, ° worse than {tests.baseline} (one .05, two .01, three .001), over seeds"
        " and over patients within sites, two-sided, Holm over the table's"
        f" {len(tests.tests)} tests."
    )
    lines = [stars] if tests.tests else []
    if tests.refused:
        lines.append(f"No stars ({tests.refused}).")
    if tests.left_out:
        lines.append(f"Not tested: {'; '.join(tests.left_out)}.")
    return (" ".join(lines),) if lines else ()


def _seeds(query: Query) -> str:
    seeds = sorted({e.seed for e in query.entries}, key=lambda seed: (len(seed), seed))
    return (
        f"One seed ({seeds[0]})" if len(seeds) == 1 else f"{len(seeds)} seeds ({', '.join(seeds)})"
    )


def _has_test(query: Query) -> bool:
    """True if a source has test cases of its own, which are then the diagonal of a matrix."""
    protocol = query.spec.protocol
    return any(is_in_domain_test(s.target) for e in query.entries for s in e.scores(protocol))


def _counts(query: Query, rows: Sequence[TableRow]) -> str:
    """Number of cases and slices in the table, each counted once, and cases of a cell.

    Only the matrix includes the validation cases of a training's source; an upper bound tests
    held-out cases of the domain it was trained on.
    """
    slices: dict[tuple[str, str], int] = {}
    is_matrix = query.spec.columns == "matrix"
    for entry in query.entries:
        is_fold, scores = bool(entry.values.get("fold")), list(entry.scores(query.spec.protocol))
        tested = {domain_of(s.target) for s in scores if is_in_domain_test(s.target)}
        for score in scores:
            is_validation = score.target in entry.sources and not is_fold
            is_hidden = is_validation and (score.target in tested or not is_matrix)
            if not is_hidden and (is_matrix or not is_in_domain_test(score.target)):
                key = domain_of(score.target), score.case
                slices[key] = max(slices.get(key, 0), score.n_slices)  # 0 if the tool gave no mask
    whole = f"n = {len(slices)} cases, {sum(slices.values())} slices"
    cells = {
        cell.n_cases
        for row in rows
        if row.origin is not Origin.PUBLISHED and not row.is_mean
        for cell in row.cells[:-1]
        if cell.n_cases
    }
    if cells <= {len(slices)}:
        return whole
    low, high = min(cells), max(cells)
    pools_sources = query.spec.columns in ("target", "by_structure", "encoder")
    noun = "pairs of source and case" if pools_sources else "cases"
    return f"{whole}, {low if low == high else f'{low} to {high}'} {noun} per cell and seed"


def _spread(query: Query, rows: Sequence[TableRow]) -> str:
    if any(cell.deviation is not None for row in rows for cell in row.cells):
        return "± is the standard deviation over them"
    n_seeds = max((cell.seeds_planned for row in rows for cell in row.cells), default=0)
    return "so there is no ±" if n_seeds < 2 else "no ± because some are missing"


def _data(query: Query) -> str:
    dataset, code = _known(query, "dataset") or "none", _known(query, "code_version") or "none"
    return f"Dataset {dataset}; {encoder_words(query)}; training code {code}."


def provenance(query: Query) -> str:
    """A line of fingerprints: what exactly was read and run; empty if nothing ran."""
    parts = {
        "dataset": _known(query, "dataset_fingerprint"),
        "encoder": _known(query, "encoder_fingerprint"),
        "sweeper": _known(query, "sweeper_version"),
    }
    known = "; ".join(f"{name} {value}" for name, value in parts.items() if value)
    return f"Provenance: {known}." if known else ""


def _known(query: Query, tag: str) -> str:
    """All values of a tag of the runs, in order."""
    values = {e.run.tags.get(tag, "") for e in query.entries if e.run is not None} - {""}
    return ", ".join(sorted(values))


def notes(query: Query, rows: Sequence[TableRow]) -> tuple[str, ...]:
    """Notes on missing seeds, undefined cases, and the other aggregator if it differs."""
    lines = []
    missing = sum(
        cell.seeds_planned > 0 and not cell.is_complete for row in rows for cell in row.cells[:-1]
    )
    if missing:
        lack = "1 cell lacks" if missing == 1 else f"{missing} cells lack"
        lines.append(f"– (k/n seeds): {lack} seeds; no mean is computed from the others.")
    undefined = sum(row.cells[-1].n_undefined for row in rows)
    if undefined:
        how = "left out" if query.spec.undefined == "skip" else "a cell with one is undefined"
        lines.append(
            f"Undefined ({query.metric.undefined}): {counted(undefined, 'case number')}; {how}."
        )
    if query.spec.columns in ("source", "target"):
        lines += _other_average(query, rows)
    if query.spec.columns != "matrix":  # whose rows are sources
        lines += _within_spread(rows, query.spec.baseline, query.digits)
    unequal = unequal_columns(query)
    if unequal:
        lines.append(
            "No ranks and no differences in columns whose rows are scored on different cases:"
            f" {', '.join(map(query.shown, unequal))}."
        )
    lines += fewer_sources(query)
    lines += convergence_notes(query)
    lines += [f"{words[0].upper()}{words[1:]}." for words in unequal_budgets(query).values()]
    return (*lines, *search_notes(query))


def _within_spread(rows: Sequence[TableRow], baseline: str | None, digits: int) -> list[str]:
    """Differences that are smaller than the deviation between seeds."""
    if baseline is None:
        return []
    base = find_row(rows, baseline)
    small = []
    for row in rows:
        spread = max((c.deviation or 0.0 for c in (row.cells[-1], base.cells[-1])), default=0.0)
        if row is not base and row.delta is not None and abs(row.delta) < spread:
            small.append(
                f"{row.label} {delta_text(row.delta, digits)} against ± {number(spread, digits)}"
            )
    return [f"Δ smaller than the spread over seeds: {'; '.join(small)}."] if small else []


def fewer_sources(query: Query) -> list[str]:
    """A note if the columns, and so their mean, are not all of the dataset's domains."""
    has_several = any(len(domains_in(column)) > 1 for column in query.columns)
    if query.spec.columns != "source" or has_several or set(query.domains) <= set(query.columns):
        return []
    return [
        f"Sources here are {len(query.columns)} of the dataset's {len(query.domains)} domains, and"
        " the average is over these."
    ]


def _other_average(query: Query, rows: Sequence[TableRow]) -> list[str]:
    notable, digits = query.metric.notable, query.digits
    if notable is None:
        return []
    other = query.spec.model_copy(
        update={"aggregate": "sites" if query.spec.aggregate == "cases" else "cases"}
    )
    averages = _averages(query, other)
    pairs = [
        (row.label, row.cells[-1].value, averages.get(row.label))
        for row in rows
        if row.cells[-1].value is not None
    ]
    differing = [
        f"{label} {number(own, digits)} / {number(their, digits)}"
        for label, own, their in pairs
        if own is not None and their is not None and abs(own - their) > notable
    ]
    if not differing:
        return []
    return [
        f"Averaged by {other.aggregate} instead of by {query.spec.aggregate}, the last column"
        f" changes by more than {notable} ({query.spec.aggregate} / {other.aggregate}):"
        f" {'; '.join(differing)}."
    ]


def _averages(query: Query, spec: ReportSpec) -> dict[str, float | None]:
    averages = {}
    for label, by_column in query.pools.items():
        cells = [make_cell(by_column.get(column, {}), spec) for column in query.columns]
        averages[label] = average_cell([c for c, _ in cells], [v for _, v in cells]).value
    return averages
