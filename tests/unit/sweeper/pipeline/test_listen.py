"""What the person who waits is told of a training that has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from toy_plan import plan_of

from sweeper.pipeline.listen import dice_note
from sweeper.store.ledger import TrainingFolder

if TYPE_CHECKING:
    from pathlib import Path

    from sweeper.plan.expand import Training


def training() -> Training:
    space = "name: t\ntrial:\n  source: A\n  method: {name: desam}\n"
    return plan_of(space).trainings[0]


def scored(path: Path, n_empty: int) -> tuple[TrainingFolder, Training]:
    one, folder = training(), TrainingFolder(path)
    scores = [
        {"dice": 0.9, "protocol": "desam2024", "domain": "A"},  # source validation: not the target
        {"dice": 0.25, "protocol": "desam2024", "domain": "B"},
        {"dice": 0.75, "protocol": "strict", "domain": "B"},
    ]
    folder.write(
        f"evaluations/{one.evaluations[0].eval_id}/scores",
        {"scores": scores, "n_slices": 10, "n_empty_slices": n_empty},
    )
    return folder, one


def test_the_dice_of_the_target_cases_alone_is_told(tmp_path: Path) -> None:
    assert dice_note(*scored(tmp_path, n_empty=5)) == "target Dice 25.0"


@pytest.mark.parametrize("n_empty", [6, 10])
def test_a_method_that_left_most_slices_empty_is_said_to(tmp_path: Path, n_empty: int) -> None:
    said = dice_note(*scored(tmp_path, n_empty))
    assert said == f"target Dice 25.0; no mask in {n_empty} of 10 slices"


def test_a_training_without_a_scoring_has_no_note(tmp_path: Path) -> None:
    assert dice_note(TrainingFolder(tmp_path), training()) == ""
