"""The per-case scores of a run, stored as its file `rows.json`.

The file has one line per case and protocol, in the layout of `mlflow.log_table`, so that MLflow's
UI shows it as a table; json reads 1,000 files in half a second, without pandas. Columns are found
by name: first those that identify a score, then one per metric, so that files of other versions,
with other metrics, can be read.
"""

from __future__ import annotations

import json
import math
from operator import itemgetter
from typing import TYPE_CHECKING, Any, cast

from sweeper.errors import TrackingError
from sweeper.tracking.run_checksum import rows_checksum
from sweeper.tracking.tracker import Score

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from sweeper.records import Row

ROWS_FILE = "rows.json"

_KEY_COLUMNS = Score._fields[:6]
_PATIENT = "patient"
"""A column that files of earlier versions lack: there each case is its own patient."""
_DIAGONAL = "diagonal_mm"
"""A column that files of earlier versions lack: there the diagonals are unknown."""
_NOT_MEASURED = ""
"""Stands for a metric that only other lines of the file have; an undefined value is null."""


def scores_of(rows: Iterable[Row]) -> tuple[Score, ...]:
    """Scores from long rows, one per case and protocol, with the metrics that have a row."""
    scores: dict[tuple[str, str, str, str], Score] = {}
    for row in rows:
        key = (row.eval_id, row.case, row.structure, row.protocol)
        score = Score(
            row.eval_id,
            row.target,
            row.case,
            row.structure,
            row.protocol,
            row.n_slices,
            {},
            row.patient,
            row.diagonal_mm,
        )
        values = cast("dict[str, float]", scores.setdefault(key, score).values)
        values[row.metric] = row.value
    return tuple(scores.values())


def encode(scores: Sequence[Score]) -> str:
    """The text of a rows file; undefined values are null, all others are exact."""
    names = list(dict.fromkeys(name for score in scores for name in score.values))
    data = [
        [
            *score[: len(_KEY_COLUMNS)],
            score.patient,
            _plain(score.diagonal_mm),
            *(_plain(score.values.get(name, _NOT_MEASURED)) for name in names),
        ]
        for score in scores
    ]
    return json.dumps({"columns": [*_KEY_COLUMNS, _PATIENT, _DIAGONAL, *names], "data": data})


def _plain(value: float | str) -> float | str | None:
    return None if isinstance(value, float) and math.isnan(value) else value


def decode(path: Path, sha256: str = "") -> tuple[Score, ...]:
    """The scores in a rows file; empty if the file is missing or damaged.

    The run's scores are then lost, tables show a dash, and the next `sweeper run` rewrites the file
    from the training's folder.

    Args:
        path: The file.
        sha256: Of its content when it was written; empty if that is not known.

    Raises:
        TrackingError: The file is valid JSON, but not scores of this or an earlier version.
    """
    try:
        text = path.read_bytes()
        if sha256 not in ("", rows_checksum(text)):
            return ()
        content = json.loads(text)
    except (FileNotFoundError, ValueError, RecursionError):
        return ()
    columns, data = _table(content)
    missing = [name for name in _KEY_COLUMNS if name not in columns]
    if missing:
        raise TrackingError(
            f"{path}: no column {', '.join(missing)}; it has {', '.join(columns) or 'none'}, so"
            " another version of sweeper wrote it: read it with that version, or delete the file"
            " and `sweeper run` writes it again"
        )
    key_values = itemgetter(*map(columns.index, _KEY_COLUMNS))
    places = {name: columns.index(name) for name in (_PATIENT, _DIAGONAL) if name in columns}
    try:
        return tuple(
            Score._make(
                (
                    *key_values(line),
                    _values(columns, line),
                    line[places[_PATIENT]] if _PATIENT in places else "",
                    _number(line[places[_DIAGONAL]]) if _DIAGONAL in places else math.nan,
                )
            )
            for line in data
        )
    except (IndexError, TypeError, ValueError) as err:
        raise TrackingError(
            f"{path}: a line does not match the columns {', '.join(columns)} ({err}); delete the"
            " file, and `sweeper run` writes it again"
        ) from err


def _table(content: Any) -> tuple[list[str], list[list[Any]]]:
    """Columns and lines of a file; both are empty if it has another layout."""
    match content:
        case {"columns": [*columns], "data": [*data]}:
            return [str(column) for column in columns], data
    return [], []


def _values(columns: Sequence[str], line: Sequence[Any]) -> dict[str, float]:
    return {
        name: _number(value)
        for name, value in zip(columns, line, strict=True)
        if name not in (*_KEY_COLUMNS, _PATIENT, _DIAGONAL) and value != _NOT_MEASURED
    }


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
