"""All scores of a table as CSV, also in the layout of challengeR."""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from statistics import fmean
from typing import TYPE_CHECKING

from desam_model.scoring.metric_table import metrics
from sweeper.report.statistics.significance import testable_rows

if TYPE_CHECKING:
    from sweeper.report.query import Query

LONG_COLUMNS = (
    "train_id",
    "eval_id",
    "row",
    "method",
    "seed",
    "source",
    "target",
    "case",
    "patient",
    "structure",
    "protocol",
    "metric",
    "value",
    "n_slices",
    "status",
    "origin",
    "grid_size",
    "iou_threshold",
    "min_region_px",
)
_SETTINGS = ("grid_size", "iou_threshold", "min_region_px")


def render_long(query: Query) -> str:
    """One line per value: every case, protocol and metric of every planned scoring.

    A scoring without scores has one line with an empty value and the outcome of its training as
    status, so that nothing is omitted silently.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(LONG_COLUMNS)
    for entry in query.planned:
        head = (entry.train_id, entry.eval_id, entry.label, entry.method, entry.seed, entry.source)
        origin = "imported" if entry.is_imported else "measured"
        tail = (origin, *(entry.values.get(key, "") for key in _SETTINGS))
        if entry.run is None:
            status = "missing" if entry.status is None else entry.status.value
            writer.writerow((*head, *[""] * 8, status, *tail))
            continue
        for score in entry.run.scores:
            if score.eval_id != entry.eval_id:
                continue
            place = (
                score.target,
                score.case,
                score.patient or score.case,
                score.structure,
                score.protocol,
            )
            for metric in dict.fromkeys((*metrics(), *score.values)):
                shown, status = _number(score.values.get(metric))
                writer.writerow((*head, *place, metric, shown, score.n_slices, status, *tail))
    return stream.getvalue()


def _number(value: float | None) -> tuple[str, str]:
    """The exact value, or empty if there is none, and its status."""
    if value is None:
        return "", "not measured"
    return ("", "undefined") if math.isnan(value) else (repr(value), "ok")


def render_challenger(query: Query) -> str:
    """The layout of challengeR: task (column), algorithm (row), case, mean value over seeds.

    Only competitors whose every planned seed is finished are in it: a ranking of an upper bound, or
    of a row with half of its seeds, would be wrong. `left_out_of_ranking` names the others.
    Undefined values are `NA`. Read it in R with
    `as.challenge(read.csv(f), by = "task", algorithm = "algorithm", case = "case",
    value = "value", smallBetter = FALSE)`, and TRUE for distances.
    """
    values: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    competitors, _ = testable_rows(query)
    for label in competitors:
        for column, by_seed in query.averaged(label).items():
            for pool in by_seed.values():
                for numbers in pool.numbers.values():
                    for number in numbers:
                        case = "/".join(number.case)
                        values[column, label, case].append(number.value)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("task", "algorithm", "case", "value"))
    for (task, algorithm, case), of_seeds in sorted(values.items()):
        mean = fmean(of_seeds)
        writer.writerow((task, algorithm, case, "NA" if mean != mean else repr(mean)))
    return stream.getvalue()


def left_out_of_ranking(query: Query) -> tuple[str, ...]:
    """Rows that are not in the export for challengeR, each with its reason."""
    return testable_rows(query)[1]
