"""The rows file: columns are found by name, in files of this version, another one, or damaged."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from sweeper.errors import TrackingError
from sweeper.tracking.rows_file import decode, encode
from sweeper.tracking.tracker import Score

if TYPE_CHECKING:
    from pathlib import Path

FACTS = ["eval_id", "target", "case", "structure", "protocol", "n_slices"]
CASE = ["e1", "B", "b1", "prostate", "strict", 5]


def written(tmp_path: Path, columns: list[str], *lines: list[Any]) -> Path:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps({"columns": columns, "data": lines}))
    return path


def test_a_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    columns = [*FACTS, "dice", "hd95_mm", "asd_mm"]
    (score,) = decode(written(tmp_path, columns, [*CASE, 0.5, None, 2.5]))
    assert score[: len(CASE)] == tuple(CASE)
    assert score.patient == ""  # the case is its own
    assert score.values["dice"] == 0.5
    assert math.isnan(score.values["hd95_mm"])
    assert score.values["asd_mm"] == 2.5


def test_columns_are_found_by_name_and_an_unknown_metric_is_kept(tmp_path: Path) -> None:
    columns = ["dice", "volume_ml", *reversed(FACTS)]
    (score,) = decode(written(tmp_path, columns, [0.5, 31, *reversed(CASE)]))
    assert score == Score(*CASE, {"dice": 0.5, "volume_ml": 31.0})


def test_a_patient_is_stored_and_is_not_read_as_a_metric(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(encode([Score(*CASE, {"dice": 0.5}, patient="p7")]))
    (score,) = decode(path)
    assert (score.patient, score.values) == ("p7", {"dice": 0.5})


def test_a_metric_that_was_not_computed_differs_from_an_undefined_one(tmp_path: Path) -> None:
    scores = (Score(*CASE, {"dice": 0.5}), Score(*CASE, {"dice": 0.5, "sensitivity": math.nan}))
    path = tmp_path / "rows.json"
    path.write_text(encode(scores))
    first, second = decode(path)
    assert first.values == {"dice": 0.5}
    assert math.isnan(second.values["sensitivity"])


@pytest.mark.parametrize(
    ("columns", "line", "named"),
    [
        ([*FACTS[1:], "dice"], [*CASE[1:], 0.5], "no column eval_id; it has target"),
        ([*FACTS, "dice", "asd_mm"], [*CASE, 0.5], "a line does not match the columns eval_id"),
        ([*FACTS, "dice"], [*CASE, 0.5, 7.5], "a line does not match the columns eval_id"),
        ([*FACTS, "dice", "scanner"], [*CASE, 0.5, "Philips"], "Philips"),
    ],
)
def test_a_file_that_is_not_a_rows_file_is_an_error_with_its_path(
    tmp_path: Path, columns: list[str], line: list[Any], named: str
) -> None:
    with pytest.raises(TrackingError, match=named) as raised:
        decode(written(tmp_path, columns, line))
    assert "rows.json" in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [
        {"version": 2, "rows": [{"case": "b1", "dice": 0.5}]},
        {"columns": FACTS},
        {"columns": None, "data": []},
        {"columns": FACTS, "data": None},
        [1, 2],
        5,
    ],
)
def test_valid_json_of_another_layout_is_an_error_too(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(content))
    with pytest.raises(TrackingError, match=r"rows\.json: no column eval_id.* it has none"):
        decode(path)


@pytest.mark.parametrize("text", [None, "", '{"columns": ["eval_id'])
def test_a_missing_or_truncated_file_gives_no_scores(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "rows.json"
    if text is not None:
        path.write_text(text)
    assert decode(path) == ()


def test_the_diagonal_of_a_scan_is_kept_where_it_was_recorded(tmp_path: Path) -> None:
    known = Score("e1", "B", "b1", "prostate", "strict", 5, {"dice": 0.5}, "p1", 412.5)
    path = tmp_path / "rows.json"
    path.write_text(encode([known, known._replace(case="b2", diagonal_mm=math.nan)]))
    first, second = decode(path)
    assert first == known
    assert math.isnan(second.diagonal_mm)
    (older,) = decode(written(tmp_path, [*FACTS, "patient", "dice"], [*CASE, "p1", 0.5]))
    assert (older.patient, older.values) == ("p1", {"dice": 0.5})
    assert math.isnan(older.diagonal_mm)
