"""Rows that may not be compared: a sceptic's cases, each with the reason the table must give."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hand_made import plain, results, run

from sweeper.config.report import ReportSpec
from sweeper.config.yaml_reader import read_yaml
from sweeper.errors import ConfigError
from sweeper.records import TrialStatus
from sweeper.report.build import build_table, build_tables
from sweeper.report.formats.terminal import render_terminal
from sweeper.report.query import make_query, spec_of
from sweeper.report.table import Mark, ReportTable

SPACES = Path(__file__).parents[4] / "search_spaces"


def table(*runs, missing=(), **spec) -> ReportTable:
    given = ReportSpec(**{"columns": "source", **spec})
    return build_table(make_query(results(*runs, missing=missing), given))


def marks(made: ReportTable) -> list[list[Mark | None]]:
    return [[cell.mark for cell in row.cells] for row in made.rows]


def reasons(made: ReportTable) -> str:
    return "; ".join(made.draft_reasons)


def test_a_query_without_a_direction_is_an_error_that_names_the_directions() -> None:
    with pytest.raises(ConfigError, match=r"no direction.*--columns source\|target\|matrix"):
        make_query(results(*plain()))
    with pytest.raises(ConfigError, match="no direction"):
        spec_of({"rows": "method", "columns": None})
    with pytest.raises(ConfigError, match=r"report.columns: is 'sauce'"):
        spec_of({"columns": "sauce"})
    named = make_query(results(*plain(), report={"columns": "target"}))
    assert build_table(named).rows[0].cells[1].value == pytest.approx(45)


@pytest.mark.parametrize("space", sorted(SPACES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_space_names_the_direction_of_its_table(space: Path) -> None:
    assert read_yaml(space).value.get("report", {}).get("columns") is not None


def test_a_cell_that_was_never_planned_at_a_source_makes_a_draft() -> None:
    made = table(*plain(method="whole"), *plain(method="part")[:2])
    part = made.rows[1]
    assert (part.cells[2].value, part.cells[2].seeds_planned) == (None, 0)
    assert part.cells[3].value is None
    assert "part has no plan for 1 cell" in reasons(made)


@pytest.mark.parametrize("columns", ["target", "matrix"])
def test_a_source_that_is_missing_inside_a_target_column_makes_a_draft(columns: str) -> None:
    query = make_query(
        results(*plain(method="whole"), *plain(method="part")[:2]), ReportSpec(columns=columns)
    )
    for made in build_tables(query):
        assert "part has no plan at source C" in reasons(made)


def test_target_columns_of_a_single_source_are_not_trained_on_each_other_site() -> None:
    made = table(plain()[0], columns="target")
    assert "unet has no plan at source B, C" in reasons(made)
    restricted = table(*plain(), columns="target", where=("source=A",))
    assert "no plan at source" not in reasons(restricted)
    assert "Only trainings with source=A." in restricted.caption


def test_the_matrix_of_one_source_is_no_draft_for_its_row_of_means() -> None:
    (made,) = build_tables(make_query(results(plain()[0]), ReportSpec(columns="matrix")))
    assert made.draft_reasons == ()


def test_columns_that_are_not_all_domains_are_said_below_the_table() -> None:
    made = table(*plain()[:2])
    assert made.draft_reasons == ()
    assert any("Sources here are 2 of the dataset's 3 domains" in note for note in made.notes)


def bound(source: str, held_out: dict[str, tuple[float, ...]]):
    params = {"method.variant": "target_cv", "fold": "0"}
    return run("upper_bound", source, held_out, params=params)


def test_an_upper_bound_adds_no_column_and_lacks_a_cell_where_a_site_was_not_swept() -> None:
    made = table(plain()[0], bound("A", {"A": (0.9, 0.8)}), bound("B", {"B": (0.7, 0.7, 0.7)}))
    assert made.columns == ("A", "Overall")
    upper = made.rows[1]
    # column A is B and C; C's held-out cases were never planned
    assert upper.cells[0].value is None
    assert "upper_bound target_cv has no plan for 1 cell" in reasons(made)
    alone = table(bound("A", {"A": (0.9, 0.8)}))
    assert all(cell.value is None for cell in alone.rows[0].cells)


def test_rows_scored_on_different_cases_have_no_best_no_difference_and_a_reason() -> None:
    easy = run("easy", "A", {"B": (0.6, 0.6)})
    whole = run("whole", "A", {"B": (0.6, 0.6, 0.1)})
    made = table(easy, whole, baseline="whole")
    assert [row.cells[0].value for row in made.rows] == pytest.approx([60, 130 / 3])
    assert marks(made) == [[None, None], [None, None]]
    assert [row.delta for row in made.rows] == [None, None]
    assert "different cases in column A (easy 2, whole 3)" in reasons(made)
    assert "scored on different cases: A" in render_terminal(made)


def test_the_same_number_of_other_cases_is_still_another_set() -> None:
    one = run("one", "A", {"B": (0.6,)})
    other = run("other", "A", {"C": (0.6,)})
    assert "different cases in column A" in reasons(table(one, other))


def test_a_row_whose_undefined_cases_are_skipped_does_not_compete_with_a_whole_one() -> None:
    holed = run("holed", "A", {"B": (math.nan, 0.9, 0.9)})
    whole = run("whole", "A", {"B": (0.1, 0.9, 0.9)})
    made = table(holed, whole, undefined="skip")
    assert made.rows[0].cells[0].value == pytest.approx(90)
    assert marks(made) == [[None, None], [None, None]]
    assert "different cases in column A (holed 2, whole 3)" in reasons(made)
    alike = table(holed, run("alike", "A", {"B": (math.nan, 0.8, 0.8)}), undefined="skip")
    assert marks(alike)[0][0] is Mark.BEST
    strictly = table(holed, whole)
    assert math.isnan(strictly.rows[0].cells[0].value)
    assert "1 undefined case number" in reasons(strictly)


def test_a_case_skipped_in_another_seed_is_another_set_too() -> None:
    def seeds(method: str, holes: tuple[int, int]):
        return [
            run(
                method,
                "A",
                {"B": tuple(math.nan if i == hole else 0.5 for i in range(3))},
                seed=seed,
            )
            for seed, hole in enumerate(holes)
        ]

    assert "different cases" in reasons(
        table(*seeds("a", (0, 0)), *seeds("b", (0, 1)), undefined="skip")
    )
    assert "different cases" not in reasons(
        table(*seeds("a", (0, 1)), *seeds("b", (1, 0)), undefined="skip")
    )


def test_one_cell_with_fewer_seeds_than_the_rest_makes_a_draft() -> None:
    made = table(*plain(seed=0), *plain(seed=1)[:2])
    assert [cell.seeds_planned for cell in made.rows[0].cells[:3]] == [2, 2, 1]
    assert "cells have different seeds (of 2: unet 1 to 2)" in reasons(made)


def test_a_pruned_or_failed_training_is_a_dash_and_never_a_number() -> None:
    first, *rest = plain()
    for status in (TrialStatus.PRUNED, TrialStatus.FAILED):
        # even if its scores were kept
        made = table(replace(first, status=status), *rest)
        assert made.rows[0].cells[0].value is None
        assert made.rows[0].cells[3].value is None
        assert f"1 of 3 scorings missing (1 {status.value})" in reasons(made)


def test_a_pruned_training_is_never_chosen_among_searched_ones_and_keeps_the_table_a_draft() -> (
    None
):
    def searched(lr: str, loss: float, dice: float, status: TrialStatus = TrialStatus.COMPLETED):
        made = run(
            "unet",
            "A",
            {"B": (dice,) * 3},
            params={"training.lr": lr},
            summary={"selected_validation_loss": loss},
        )
        return replace(made, status=status)

    pruned = searched("0.1", 0.01, 0.9, TrialStatus.PRUNED)
    made = table(pruned, searched("0.2", 0.3, 0.4), select="validation_loss")
    assert made.rows[0].cells[0].value == pytest.approx(40)
    assert "1 pruned" in reasons(made)


def test_a_budget_that_differs_in_one_cell_only_is_uneven() -> None:
    def searched(source: str, lr: str):
        return run(
            "unet",
            source,
            {"C": (0.5,)},
            params={"training.lr": lr},
            summary={"selected_validation_loss": 0.1},
        )

    made = table(
        searched("A", "0.1"), searched("A", "0.2"), searched("B", "0.1"), select="validation_loss"
    )
    assert "search budgets differ (trainings tried for a cell: unet 1 to 2)" in reasons(made)
