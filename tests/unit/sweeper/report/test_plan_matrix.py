"""A plan is shown as the table that it will fill."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, get_args

import pytest
from toy_plan import FACTS, plan_of

from sweeper.cli.terminal.plan_text import matrix_lines
from sweeper.config.report import Columns, ReportSpec
from sweeper.config.sweep import check_sweep
from sweeper.config.yaml_reader import parse_yaml
from sweeper.errors import ConfigError
from sweeper.plan.expand import make_plan
from sweeper.plan.states import Cell, State
from sweeper.report.plan_matrix import plan_matrix

if TYPE_CHECKING:
    from sweeper.report.plan_matrix import PlanMatrix

GRID = (
    "name: t\ntrial:\n  source: {grid: [A, B]}\n  method: {name: desam}\n"
    "  evaluation: {grid_size: {grid: [3, 9]}}\nseeds: [0, 1, 2]\n"
)
METHODS = (
    "name: t\ntrial:\n  source: {grid: [A, B]}\n  method: {name: {grid: [unet, csdg]}}\n"
    "seeds: [0, 1]\n"
)
BY_METHOD = ReportSpec(columns="source")


def cells(space: str) -> list[Cell]:
    return [
        Cell(
            training=training,
            state=State.MISSING,
            is_trained=False,
            missing=tuple(e.eval_id for e in training.evaluations),
        )
        for training in plan_of(space).trainings
    ]


def texts(matrix: PlanMatrix) -> dict[str, list[str]]:
    return {row: [matrix.text(row, name) for name in matrix.columns] for row in matrix.counts}


def test_every_row_and_column_of_the_table_is_named_before_anything_ran() -> None:
    matrix = plan_matrix(cells(METHODS), BY_METHOD, ("A", "B"))
    assert (matrix.row_header, matrix.columns) == ("method", ("A", "B"))
    assert texts(matrix) == {"unet": ["0/2", "0/2"], "csdg": ["0/2", "0/2"]}


def test_a_cell_counts_what_is_done_and_names_what_is_neither_done_nor_missing() -> None:
    first, *rest = cells(METHODS)
    index = next(i for i, cell in enumerate(rest) if cell.training.config.source == "B")
    rest[index] = replace(rest[index], state=State.FAILED)
    done = replace(first, state=State.DONE, is_trained=True, missing=())
    matrix = plan_matrix([done, *rest], BY_METHOD, ("A", "B"))
    assert texts(matrix) == {"unet": ["1/2", "0/2 (1 failed)"], "csdg": ["0/2", "0/2"]}


def test_a_scored_grid_size_of_a_training_that_lacks_another_is_done() -> None:
    trained = [
        replace(cell, is_trained=True, missing=cell.missing[1:])
        if cell.training.config.source == "B"
        else cell
        for cell in cells(GRID)
    ]
    matrix = plan_matrix(trained, ReportSpec(columns="source", rows="grid_size"), ("A", "B"))
    assert texts(matrix) == {"3": ["0/3", "3/3"], "9": ["0/3", "0/3"]}


def test_columns_of_targets_count_the_trainings_on_the_other_domains() -> None:
    only_a = [cell for cell in cells(METHODS) if cell.training.config.source == "A"]
    matrix = plan_matrix(only_a, ReportSpec(columns="target"), ("A", "B"))
    assert texts(matrix) == {"unet": ["0/2"], "csdg": ["0/2"]}
    assert matrix.columns == ("B",)


def test_an_upper_bound_counts_in_the_columns_that_its_cases_belong_to() -> None:
    upper = "name: t\ntrial: {source: A, method: {name: upper_bound, variant: target_cv}}\n"
    matrix = plan_matrix(cells(upper), BY_METHOD, ("A", "B"))
    counts = [matrix.counts["upper_bound target_cv"][name].total() for name in matrix.columns]
    assert (matrix.columns, counts) == (("A",), [len(plan_of(upper).trainings)])


def test_a_source_of_several_domains_is_named_as_in_the_table() -> None:
    space = "name: t\ntrial: {source: [A, B], target: C, method: {name: unet}}\n"
    facts = replace(
        FACTS,
        domains=("A", "B", "C"),
        cases={**FACTS.cases, "C": ("c1",)},
        slices={**FACTS.slices, "C": 5},
    )
    trials = check_sweep(parse_yaml(space)).trials
    (training,) = make_plan("t", trials, lambda _: facts).trainings
    cell = Cell(training=training, state=State.RUNNING, is_trained=False, missing=())
    matrix = plan_matrix([cell], BY_METHOD, facts.domains)
    assert texts(matrix) == {"unet": ["0/1 (1 running)"]}
    assert matrix.columns == ("all but C",)


def test_rows_by_a_key_that_no_trial_has_are_refused_before_the_run() -> None:
    with pytest.raises(ConfigError, match=r"rows: 'ablaton' .*did you mean"):
        plan_matrix(cells(GRID), ReportSpec(columns="source", rows="ablaton"), ("A", "B"))


def report(found: list[Cell], spec: ReportSpec | None) -> SimpleNamespace:
    sweep = SimpleNamespace(spec=SimpleNamespace(report=spec))
    return SimpleNamespace(table_cells=found, sweep=sweep)


def test_the_matrix_fits_eighty_columns_and_says_what_a_cell_is() -> None:
    lines = list(matrix_lines(report(cells(METHODS), None), 80))
    assert lines[0] == "  dataset d (SYNTHETIC), seeds 0, 1, 50 epochs"
    assert lines[-1] == (
        "  column = source site (tested on the others); cell = evaluations done/planned"
    )
    assert any("csdg" in line and line.count("0/2") == 2 for line in lines)
    assert max(map(len, lines)) <= 80


def test_a_long_matrix_is_cut_and_says_how_much_is_not_shown() -> None:
    rates = ", ".join(f"{rate}e-5" for rate in range(1, 41))
    long = (
        "name: t\ntrial:\n  source: A\n  method: {name: unet}\n"
        f"  training: {{lr: {{grid: [{rates}]}}}}\n"
    )
    spec = ReportSpec(columns="source", rows="training.lr")
    lines = list(matrix_lines(report(cells(long), spec), 80))
    assert sum("0/1" in line for line in lines) == 30
    assert "and 10 rows more, up to 0.0004; all: sweeper status" in lines


def test_a_space_without_trainings_has_no_matrix() -> None:
    assert list(matrix_lines(report([], None), 80)) == []


@pytest.mark.parametrize("columns", get_args(Columns))
def test_every_kind_of_column_has_a_matrix(columns) -> None:
    lines = list(matrix_lines(report(cells(METHODS), ReportSpec(columns=columns)), 80))
    assert any("csdg" in line for line in lines)
    assert "column = " in lines[-1]
