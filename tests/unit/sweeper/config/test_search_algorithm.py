from __future__ import annotations

from pathlib import Path

import pytest

from sweeper.config.search import every_point
from sweeper.config.sweep import Sweep, check_sweep
from sweeper.config.yaml_reader import parse_yaml
from sweeper.errors import ConfigError

BASE = """
name: t
trial:
  source: {grid: [A-ISBI, F-HK]}
  method: {name: desam}
  training:
    epochs: 20
    lr: {loguniform: [1e-5, 1e-2]}
    batch_size: {choice: [2, 4]}
seeds: [0, 1]
"""


def sweep(text: str) -> Sweep:
    return check_sweep(parse_yaml(text, Path("s.yaml")))


def test_each_point_of_the_grids_is_a_study_and_nothing_else_is_planned() -> None:
    found = sweep(BASE + "search: {algorithm: random, samples: 4}\n")
    assert found.trials == ()
    assert [study.tree["source"] for study in found.studies] == ["A-ISBI", "F-HK"]
    assert [".".join(map(str, r.path)) for r in found.studies[0].ranges] == [
        "training.lr",
        "training.batch_size",
    ]


def test_without_an_algorithm_every_draw_is_a_cell_of_its_own() -> None:
    found = sweep(BASE + "search: {samples: 4}\n")
    assert found.studies == ()
    assert len(found.trials) == 2 * 2 * 4


def test_cells_that_differ_only_in_the_scoring_share_a_study() -> None:
    text = BASE.replace("seeds", "  evaluation: {grid_size: {grid: [3, 9]}}\nseeds")
    found = sweep(text + "search: {algorithm: random, samples: 4}\n")
    assert len(found.studies) == 2
    served = list(found.studies[0].served({"source": "A-ISBI", "evaluation": {"grid_size": 3}}))
    assert [one["evaluation"]["grid_size"] for one in served] == [3, 9]


def test_a_grid_search_lists_every_combination() -> None:
    text = """
name: t
trial:
  source: A-ISBI
  method: {name: desam}
  training:
    epochs: {grid: [5]}
    batch_size: {randint: [2, 3]}
    weight_decay: {quniform: [0.1, 0.3, 0.1]}
search: {algorithm: grid}
"""
    (study,) = sweep(text).studies
    points = [[value for _, value in point] for point in every_point(study.tree)]
    assert points == [[b, w] for b in (2, 3) for w in (0.1, 0.2, 0.3)]
    assert study.budget == len(points)


@pytest.mark.parametrize(("samples", "budget"), [(3, 3), (40, 8)])
def test_a_budget_is_no_larger_than_what_there_is_to_try(samples: int, budget: int) -> None:
    text = """
name: t
trial:
  source: A-ISBI
  method: {name: desam}
  training:
    weight_decay: {quniform: [0.1, 0.4, 0.1]}
    batch_size: {choice: [2, 4]}
"""
    (study,) = sweep(f"{text}search: {{algorithm: random, samples: {samples}}}\n").studies
    assert study.budget == budget


@pytest.mark.parametrize(
    ("change", "search", "parts"),
    [
        (
            {},
            "{scheduler: asha}",
            ["search.scheduler", "asha", "no algorithm", "algorithm: random"],
        ),
        (
            {"lr: {loguniform: [1e-5, 1e-2]}": "lr: 0.1", "{choice: [2, 4]}": "2"},
            "{algorithm: random}",
            ["search.algorithm", "no value of the space is searched"],
        ),
        (
            {"[1e-5, 1e-2]": "[1e-5, 1e-2]", "lr: {": "lr: {"},
            "{algorithm: grid}",
            ["s.yaml:8", "training.lr", "loguniform", "no list of values"],
        ),
        (
            {"epochs: 20": "epochs: {choice: [5, 10]}"},
            "{algorithm: random}",
            ["s.yaml:7", "training.epochs", "unequal budgets"],
        ),
        (
            {"source: {grid": "source: {choice"},
            "{algorithm: random}",
            ["s.yaml:4", "source is searched", "makes cells", "{grid: [...]}"],
        ),
        (
            {"seeds:": "  evaluation: {grid_size: {choice: [3, 9]}}\nseeds:"},
            "{algorithm: random}",
            ["s.yaml:10", "evaluation.grid_size", "cannot see the scoring"],
        ),
        (
            {"name: desam": "name: desam, loss_weights: {iou: {uniform: [1, 20]}}"},
            "{algorithm: random, metric: validation_loss}",
            ["s.yaml:5", "method.loss_weights.iou", "source_dice"],
        ),
        (
            {},
            "{algorithm: random, metric: [source_dice, seconds]}",
            ["search.metric", "only algorithm optuna"],
        ),
        (
            {},
            "{algorithm: optuna, metric: [source_dice, seconds], scheduler: asha}",
            ["search.metric", "asha compares by one"],
        ),
        (
            {},
            "{algorithm: random, scheduler: hyperband, grace_epochs: 20}",
            ["search.grace_epochs", "20", "none would be stopped"],
        ),
        (
            {},
            "{algorithm: random, samples: 4, scheduler: pbt}",
            ["s.yaml:11", "search.scheduler", "is gone", "write 'scheduler: asha'"],
        ),
        (
            {},
            "{algorithm: random, scheduler: asha, interval: 5}",
            ["s.yaml:11", "search.interval", "is gone", "remove the line"],
        ),
        ({}, "{algoritm: random}", ["search.algoritm", "did you mean 'algorithm'"]),
        ({}, "{algorithm: optunna}", ["search.algorithm", "did you mean 'optuna'"]),
        (
            {"[1e-5, 1e-2]": "[1e-5, 1e-2]", "choice: [2, 4]": "choice: [2, many]"},
            "{algorithm: random}",
            ["s.yaml:9", "batch_size", "'many'"],
        ),
        (
            {"loguniform: [1e-5, 1e-2]": "uniform: [-1, 1]"},
            "{algorithm: random}",
            ["s.yaml:8", "training.lr", "-1"],
        ),
        (
            {"name: desam": "name: upper_bound"},
            "{algorithm: random}",
            ["s.yaml:5", "cross-validated and cannot be searched"],
        ),
    ],
)
def test_a_search_that_would_not_be_fair_or_not_work_is_refused_in_one_line(
    change: dict[str, str], search: str, parts: list[str]
) -> None:
    text = BASE
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new)
    with pytest.raises(ConfigError) as caught:
        sweep(f"{text}search: {search}\n")
    said = str(caught.value)
    assert "\n" not in said
    for part in parts:
        assert part in said, said
