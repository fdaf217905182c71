"""The rule for an empty prediction, by hand: what it counts as, in means, ranks and the caption."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hand_made import results, run

from sweeper.config.report import ReportSpec
from sweeper.report.build import build_table
from sweeper.report.query import make_query

if TYPE_CHECKING:
    from sweeper.report.table import ReportTable
    from sweeper.tracking.tracker import TrackedRun

DIAGONAL_MM = 300.0


def with_empty(
    of: TrackedRun, case: str, *, dice: float = 0.0, diagonal_mm: float = DIAGONAL_MM
) -> TrackedRun:
    """A run that predicted nothing in a case."""
    scores = tuple(
        score._replace(
            values={"dice": dice, "hd95_mm": math.nan, "asd_mm": math.nan}, diagonal_mm=diagonal_mm
        )
        if score.case == case
        else score
        for score in of.scores
    )
    return replace(of, scores=scores)


def table(*runs: TrackedRun, undefined: str) -> ReportTable:
    spec = ReportSpec(columns="source", metric="hd95_mm", undefined=undefined, where=("source=A",))
    return build_table(make_query(results(*runs), spec))


# HD95 is 100 (1 - Dice): 40, 40, 40 and 80 for one method, 50, 50, 50 and 50 for the other
BETTER = run("unet", "A", {"B": (0.6, 0.6, 0.6), "C": (0.2,)})
OTHER = run("desam", "A", {"B": (0.5, 0.5, 0.5), "C": (0.5,)})


def test_at_worst_an_empty_prediction_counts_as_the_diagonal_of_the_scan() -> None:
    made = table(with_empty(BETTER, "b1"), OTHER, undefined="worst")
    unet, desam = made.rows
    assert unet.cells[0].value == pytest.approx((300 + 40 + 40 + 80) / 4)
    assert unet.cells[0].n_undefined == 0
    assert desam.cells[0].value == 50.0
    assert "Empty prediction: the diagonal of the scan (1 of 8 numbers)." in made.caption


def test_ranks_follow_the_rule() -> None:
    lucky = with_empty(OTHER, "c1")
    skipped = table(BETTER, lucky, undefined="skip")
    assert [row.cells[0].value for row in skipped.rows] == [50.0, 50.0]
    worst = table(BETTER, lucky, undefined="worst")
    assert [row.cells[0].value for row in worst.rows] == [50.0, (150 + 300) / 4]
    assert [row.cells[0].mark for row in worst.rows] == ["best", "second"]
    undefined = table(BETTER, lucky, undefined="nan")
    assert math.isnan(undefined.rows[1].cells[0].value or 0.0)


@pytest.mark.parametrize(
    ("undefined", "line"),
    [
        ("nan", "Empty prediction: undefined (1 of 8 numbers)."),
        ("skip", "Empty prediction: undefined, skipped (1 of 8 numbers)."),
    ],
)
def test_the_caption_names_the_rule_and_the_count(undefined: str, line: str) -> None:
    assert line in table(with_empty(BETTER, "b1"), OTHER, undefined=undefined).caption


@pytest.mark.parametrize(
    "changes",
    [{"diagonal_mm": math.nan}, {"dice": math.nan}],
    ids=["no diagonal recorded", "no mask"],
)
def test_what_has_no_worst_value_stays_undefined_and_is_counted(changes: dict[str, float]) -> None:
    made = table(with_empty(BETTER, "b1", **changes), OTHER, undefined="worst")
    cell = made.rows[0].cells[0]
    assert math.isnan(cell.value or 0.0)
    assert cell.n_undefined == 1
    assert "1 undefined case number" in made.draft_reasons
    assert (
        "Empty prediction: the diagonal of the scan (0 of 8 numbers); 1 more undefined, without a"
        " mask or a recorded diagonal." in made.caption
    )


def test_dice_has_no_such_rule_as_it_is_zero() -> None:
    spec = ReportSpec(columns="source", undefined="worst", where=("source=A",))
    made = build_table(make_query(results(with_empty(BETTER, "b1"), OTHER), spec))
    assert made.rows[0].cells[0].value == pytest.approx(100 * (0.0 + 0.6 + 0.6 + 0.2) / 4)
    assert not any("Empty prediction" in line for line in made.caption)


def test_a_scoring_without_whole_scans_has_a_dash_under_volume_and_a_reason() -> None:
    scores = tuple(
        score._replace(protocol="volume") if score.protocol == "strict" else score
        for score in OTHER.scores
    )
    spec = ReportSpec(columns="source", protocol="volume", where=("source=A",))
    query = make_query(results(BETTER, replace(OTHER, scores=scores)), spec)
    made = build_table(query)
    assert [row.cells[0].value for row in made.rows] == [None, 40.0]
    assert "1 of 2 scorings missing (1 scored without protocol volume)" in made.draft_reasons
    (line,) = (line for line in made.caption if line.startswith("Protocol"))
    assert line.startswith(
        "Protocol volume (every slice of the scan, also those without a reference, gaps in place;"
    )
