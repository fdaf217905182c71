"""Searched values as Optuna shows them: readable, and back to what the space wrote."""

from __future__ import annotations

import optuna
import pytest
from toy_search import cell_study

from sweeper.search.parameters import Parameters, label


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.5, 0.5),
        (None, None),
        ("paper", "paper"),
        ({"iou": 5.0}, "{iou: 5.0}"),
        ([1, 2], "[1, 2]"),
    ],
)
def test_values_are_shown_as_they_are_and_mappings_as_text(value, shown) -> None:
    assert label(value) == shown


def test_what_a_trial_holds_stands_for_the_values_that_it_was_trained_with() -> None:
    study = cell_study("{algorithm: random, samples: 3}")
    parameters = Parameters(study._cell.study)
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1)).ask()
    suggested = parameters.suggested(trial)
    assert parameters.values(trial.params) == suggested
