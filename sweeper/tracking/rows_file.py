"""The file of per-case numbers that every run carries: `rows.json`.

One line a case and protocol, in the layout of `mlflow.log_table`, so that MLflow's UI shows it as
a table; json reads 1,000 of them in half a second, and without pandas. Columns are found by name:
what a score needs, then one a metric, so that files of other versions, which have other metrics,
can be read.
"""

from __future__ import annotations

import json
import math
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sweeper.errors import TrackingError
from sweeper.tracking.tracker import Score

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from sweeper.records import Row

ROWS_FILE = "rows.json"

_FACTS = Score._fields[:-1]
_NOT_MEASURED = ""
"""In place of a number, where other lines of the file have that metric; undefined is null."""


def scores_of(rows: Iterable[Row]) -> tuple[Score, ...]:
    """Long rows gathered to one line a case and protocol, with the metrics that have a row."""
    found: dict[tuple[str, str, str, str], tuple[str, int, dict[str, float]]] = {}
    for row in rows:
        key = (row.eval_id, row.case, row.structure, row.protocol)
        found.setdefault(key, (row.target, row.n_slices, {}))[2][row.metric] = row.value
    return tuple(
        Score(eval_id, target, case, structure, protocol, n_slices, values)
        for (eval_id, case, structure, protocol), (target, n_slices, values) in found.items()
    )


def encode(scores: Sequence[Score]) -> str:
    """The text of a rows file; undefined numbers are null, all others exact."""
    names = list(dict.fromkeys(name for score in scores for name in score.values))
    data = [
        [*score[:-1], *(_plain(score.values.get(name, _NOT_MEASURED)) for name in names)]
        for score in scores
    ]
    return json.dumps({"columns": [*_FACTS, *names], "data": data})


def _plain(value: float | str) -> float | str | None:
    return None if isinstance(value, float) and math.isnan(value) else value


def decode(path: Path) -> tuple[Score, ...]:
    """The scores in a rows file; none if there is no file, or a damaged one.

    Either way the run's numbers are lost, tables show a dash, and the next `sweeper run` writes
    the file anew from the training's folder.

    Raises:
        TrackingError: The file is whole, and is no file of scores of this version or a former one.
    """
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return ()
    columns, data = _table(content)
    lacking = [name for name in _FACTS if name not in columns]
    if lacking:
        raise TrackingError(
            f"{path}: no column {', '.join(lacking)}; it has {', '.join(columns) or 'none'}, as"
            " another version of sweeper wrote it: read it with that version, or remove the file"
            " and `sweeper run` writes it again"
        )
    facts = itemgetter(*map(columns.index, _FACTS))
    try:
        return tuple(Score._make((*facts(line), _values(columns, line))) for line in data)
    except (IndexError, TypeError, ValueError) as err:
        raise TrackingError(
            f"{path}: a line is not what its columns {', '.join(columns)} say ({err}); remove the"
            " file, and `sweeper run` writes it again"
        ) from err


def _table(content: Any) -> tuple[list[str], list[list[Any]]]:
    """Columns and lines of a file; neither where it is laid out in another way."""
    match content:
        case {"columns": [*columns], "data": [*data]}:
            return [str(column) for column in columns], data
    return [], []


def _values(columns: Sequence[str], line: Sequence[Any]) -> dict[str, float]:
    return {
        name: math.nan if value is None else float(value)
        for name, value in zip(columns, line, strict=True)
        if name not in _FACTS and value != _NOT_MEASURED
    }
