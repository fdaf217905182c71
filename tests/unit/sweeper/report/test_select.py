"""One training per cell is selected by its source's validation, never by a target."""

from __future__ import annotations

import math

import pytest
from hand_made import plain, results, run

from sweeper.config.report import ReportSpec
from sweeper.report.query import make_query
from sweeper.report.select import select_trainings


def entries(*runs, missing=()):
    return make_query(results(*runs, missing=missing), ReportSpec(columns="source")).entries


def searched(lr: str, target_dice: float, **summary: float):
    """A training with a searched learning rate; its target Dice must not matter."""
    return run(
        "unet", "A", {"B": (target_dice,)}, params={"training.lr": lr}, summary=dict(summary)
    )


def rates(chosen) -> list[str]:
    return [entry.values["training.lr"] for entry in chosen]


TRAININGS = (
    searched("0.1", 0.9, selected_validation_loss=0.5, selected_source_dice=0.6),
    searched("0.2", 0.1, selected_validation_loss=0.3, selected_source_dice=0.7),
    searched("0.3", 0.5, selected_validation_loss=0.4, selected_source_dice=0.8),
)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("none", ["0.1", "0.2", "0.3"]),
        ("validation_loss", ["0.2"]),  # the lowest
        ("source_dice", ["0.3"]),  # the highest
    ],
)
def test_the_rule_selects_by_the_sources_numbers_only(rule: str, expected: list[str]) -> None:
    assert rates(select_trainings(entries(*TRAININGS), rule)) == expected


def test_each_method_source_and_seed_has_its_own_selection() -> None:
    others = (*plain(seed=1), *plain(method="csdg"))
    chosen = select_trainings(entries(*TRAININGS, *others), "validation_loss")
    assert len(chosen) == 1 + len(others)


def test_a_training_without_the_number_or_without_a_run_is_not_selected() -> None:
    undefined = searched("0.4", 1.0, selected_validation_loss=math.nan)
    absent = searched("0.5", 1.0)
    missing = searched("0.6", 1.0, selected_validation_loss=0.0)
    of_all = entries(undefined, absent, *TRAININGS, missing=(missing,))
    assert rates(select_trainings(of_all, "validation_loss")) == ["0.2"]
