"""What a training records of how far it got."""

from __future__ import annotations

import math

import pytest
import torch
from toy_cases import OnlyPredicts

from desam_model.scoring.constant_mask import best_constant_mask
from desam_model.training.loader import Loader
from desam_model.types import Prediction, Reads, Slice
from sweeper.trial.convergence import loss_fall_share, measure


def slice_of(case: str, z: int, rows: slice) -> Slice:
    reference = torch.zeros(8, 8, dtype=torch.uint8)
    reference[rows, 2:6] = 1
    return Slice(
        case=case,
        domain="A",
        structure="prostate",
        z=z,
        is_last_foreground=z == 1,
        spacing_mm=(3.0, 1.0, 1.0),
        reference=reference,
        image=torch.zeros(1, 8, 8, dtype=torch.uint8),
        embedding=None,
    )


SLICES = [
    slice_of("a", 0, slice(0, 4)),
    slice_of("a", 1, slice(0, 4)),
    slice_of("b", 0, slice(2, 6)),
    slice_of("b", 1, slice(2, 6)),
]


class Upper(OnlyPredicts):
    """Predicts what case a looks like."""

    reads = frozenset({Reads.IMAGE})

    def predict(self, batch, settings) -> Prediction:
        mask = torch.zeros(len(batch), 1, 8, 8, dtype=torch.bool)
        mask[:, :, 0:4, 2:6] = True
        return Prediction(mask=mask, predicted_iou=torch.full((len(batch),), math.nan))


def test_the_best_constant_mask_of_a_worked_example() -> None:
    # rows 2 and 3 are in both cases, 0, 1, 4 and 5 in one: up to level 0.5 the union of 24 px is
    # cut, Dice 2 x 16 / (24 + 16) = 0.8 in both; above, 8 px, Dice 2 x 8 / (8 + 16) = 0.667
    mask, dice = best_constant_mask(SLICES)
    assert dice == pytest.approx(0.8)
    assert mask.sum() == 24


def test_own_cases_are_predicted_by_the_method_and_compared_with_the_constant() -> None:
    found = measure(Upper(), SLICES, [1.0, 0.5, 0.25], lambda v: Loader(v, batch_size=2))
    # case a is hit, of b 8 of 16 px: Dice 0.5
    assert found.train_dice == pytest.approx(0.75)
    assert found.constant_dice == pytest.approx(0.8)


def test_a_loss_that_has_levelled_off_fell_little_in_the_last_tenth() -> None:
    decayed = [math.exp(-10 * i / 50) for i in range(50)]
    assert loss_fall_share(decayed) < 0.001
    slow = [math.exp(-2 * i / 50) for i in range(50)]
    assert loss_fall_share(slow) > 0.02


def test_a_straight_fall_loses_its_share_of_the_whole() -> None:
    # 100 epochs: the last ten are 10 epochs after the ten before; the whole fall is 94.5
    assert loss_fall_share([float(-i) for i in range(100)]) == pytest.approx(10 / 94.5)


@pytest.mark.parametrize(("losses", "share"), [([1.0], 1.0), ([1.0, 0.5], 1.0), ([1.0] * 9, 0.0)])
def test_few_epochs_are_never_converged_and_a_flat_loss_is(losses, share) -> None:
    assert loss_fall_share(losses) == share
