"""The rule for an empty prediction, by hand: what it counts as, in means, ranks and the caption."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hand_made import results, run

from sweeper.config.report import ReportSpec
from sweeper.report.build import build_table
from sweeper.report.figures.plots import box_plot, forest_plot, heat_map, seed_strip
from sweeper.report.formats.terminal import render_terminal
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
        "Protocol volume: every slice of the scan, also those without a reference, gaps in place"
    )


@pytest.mark.parametrize("metric", ["dice", "hd95_mm", "asd_mm"])
def test_two_seeds_with_one_undefined_number_have_a_table_without_a_spread(metric: str) -> None:
    lost = with_empty(OTHER, "b2", dice=math.nan)  # a case without a mask has no Dice either
    second = run("desam", "A", {"B": (0.5, 0.5, 0.5), "C": (0.5,)}, seed=1)
    spec = ReportSpec(columns="source", metric=metric, where=("source=A",))
    (row,) = build_table(make_query(results(lost, second), spec)).rows
    for cell in row.cells:
        assert math.isnan(cell.value or 0.0)
        assert (cell.deviation, cell.n_undefined) == (None, 1)


def test_the_row_that_failed_is_not_best_and_has_no_difference() -> None:
    failed = with_empty(OTHER, "c1")
    third = run("mixstyle", "A", {"B": (0.4, 0.4, 0.4), "C": (0.4,)})
    spec = ReportSpec(columns="source", metric="hd95_mm", baseline="unet", where=("source=A",))
    made = build_table(make_query(results(BETTER, failed, third), spec))
    assert [row.cells[-1].mark for row in made.rows] == ["best", None, "second"]
    assert [row.delta for row in made.rows] == [None, None, pytest.approx(10)]
    assert "+nan" not in render_terminal(made)
    of_failed = build_table(
        make_query(results(BETTER, failed, third), spec.model_copy(update={"baseline": "desam"}))
    )
    assert [row.delta for row in of_failed.rows] == [None] * 3


@pytest.mark.parametrize("undefined", ["nan", "skip", "worst"])
def test_every_figure_can_be_drawn_and_says_what_it_lacks(undefined: str) -> None:
    seeds = [
        run(name, "A", {"A": (0.9,), "B": (0.6, 0.6, 0.6), "C": (0.2,)}, seed=seed)
        for name in ("unet", "desam")
        for seed in (0, 1)
    ]
    seeds[0] = with_empty(seeds[0], "b1")
    spec = ReportSpec(
        columns="source",
        metric="hd95_mm",
        baseline="desam",
        undefined=undefined,
        where=("source=A",),
    )
    query = make_query(results(*seeds), spec)
    legend = [text.get_text() for text in box_plot(query).axes[0].get_legend().get_texts()]
    is_defined = undefined == "worst"
    assert legend == ["unet" if is_defined else "unet (1 undefined)", "desam"]
    forest = forest_plot(query)
    assert (forest is not None) == is_defined  # the only comparison is undefined
    ticks = [tick.get_text() for tick in seed_strip(query).axes[0].get_yticklabels()]
    assert ticks == ["unet (1 seed undefined)" if undefined == "nan" else "unet", "desam"]
    cells = [text.get_text() for text in heat_map(query).axes[0].texts]
    assert ("nan" in cells) == (undefined == "nan")
