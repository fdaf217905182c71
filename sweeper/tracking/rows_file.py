"""The file of per-case numbers that every run carries: `rows.json`.

One line a case and protocol, in the layout of `mlflow.log_table`, so that MLflow's UI shows it as
a table; json reads 1,000 of them in half a second, and without pandas.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from sweeper.records import METRICS
from sweeper.tracking.tracker import Score

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sweeper.records import Row

ROWS_FILE = "rows.json"

_FIRST_METRIC = Score._fields.index(METRICS[0])


def scores_of(rows: Iterable[Row]) -> tuple[Score, ...]:
    """Long rows gathered to one line a case and protocol; a metric without a row is nan."""
    found: dict[tuple[str, str, str, str], tuple[str, int, dict[str, float]]] = {}
    for row in rows:
        key = (row.eval_id, row.case, row.structure, row.protocol)
        found.setdefault(key, (row.target, row.n_slices, {}))[2][row.metric] = row.value
    return tuple(
        Score(
            eval_id,
            target,
            case,
            structure,
            protocol,
            n_slices,
            *(values.get(metric, math.nan) for metric in METRICS),
        )
        for (eval_id, case, structure, protocol), (target, n_slices, values) in found.items()
    )


def encode(scores: Iterable[Score]) -> str:
    """The text of a rows file; undefined numbers are null, all others exact."""
    data = [
        [None if isinstance(value, float) and math.isnan(value) else value for value in score]
        for score in scores
    ]
    return json.dumps({"columns": list(Score._fields), "data": data})


def decode(path: Path) -> tuple[Score, ...]:
    """The scores in a rows file; none if there is no file, or a damaged one.

    Either way the run's numbers are lost, tables show a dash, and the next `sweeper run` writes
    the file anew from the training's folder.
    """
    try:
        return tuple(map(_score, json.loads(path.read_bytes())["data"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return ()


def _score(values: list[str | int | float | None]) -> Score:
    # Score._make refuses a line of another length
    if None in values:
        values = [math.nan if value is None else value for value in values]
    return Score._make(values)
