"""Loss profiles by hand."""

from __future__ import annotations

import math

import pytest
import torch

from desam_model.desam.losses import (
    LossProfile,
    cross_entropy_loss,
    iou_loss,
    loss_weights,
    mask_loss_parts,
    squared_dice_loss,
)

LOGITS = torch.tensor([0.0, 2.0, -1.0, 0.5]).view(1, 1, 2, 2)
REFERENCE = torch.tensor([0.0, 1.0, 0.0, 1.0]).view(1, 1, 2, 2)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_squared_dice_by_hand():
    p = [sigmoid(x) for x in (0.0, 2.0, -1.0, 0.5)]
    expected = 1 - (2 * (p[1] + p[3]) + 1e-5) / (sum(v * v for v in p) + 2 + 1e-5)
    assert squared_dice_loss(LOGITS, REFERENCE).item() == pytest.approx(expected, rel=1e-6)


def test_cross_entropy_by_hand():
    terms = [
        math.log(2),
        -math.log(sigmoid(2)),
        -math.log(1 - sigmoid(-1)),
        -math.log(sigmoid(0.5)),
    ]
    assert cross_entropy_loss(LOGITS, REFERENCE).item() == pytest.approx(sum(terms) / 4, rel=1e-6)


def test_losses_are_per_sample():
    logits = torch.cat([LOGITS, 3 * LOGITS])
    reference = torch.cat([REFERENCE, 1 - REFERENCE])
    for loss in (squared_dice_loss, cross_entropy_loss):
        both = loss(logits, reference)
        assert both.shape == (2,)
        torch.testing.assert_close(both[1:], loss(3 * LOGITS, 1 - REFERENCE))


def test_the_released_profile_has_no_cross_entropy_and_an_absolute_error():
    assert set(mask_loss_parts(LOGITS, REFERENCE, LossProfile.RELEASED)) == {"dice"}
    assert iou_loss(torch.tensor([[0.4]]), torch.tensor([1.0]), LossProfile.RELEASED).item() == (
        pytest.approx(0.6)
    )


def test_the_papers_profile_weighs_the_squared_error_tenfold():
    assert set(mask_loss_parts(LOGITS, REFERENCE, LossProfile.PAPER)) == {"dice", "ce"}
    assert iou_loss(torch.tensor([[0.4]]), torch.tensor([1.0]), LossProfile.PAPER).item() == (
        pytest.approx(3.6)
    )


def test_the_best_logits_have_almost_no_loss():
    sure = (REFERENCE - 0.5) * 60
    assert squared_dice_loss(sure, REFERENCE).item() < 1e-5
    assert cross_entropy_loss(sure, REFERENCE).item() < 1e-5


def test_half_precision_logits_are_lifted():
    assert squared_dice_loss(LOGITS.half(), REFERENCE).dtype == torch.float32
    assert torch.isfinite(cross_entropy_loss(1e4 * LOGITS.half(), REFERENCE)).all()


def test_own_weights_stand_in_the_place_of_the_profiles() -> None:
    weights = loss_weights("paper", iou=2.0)
    assert (weights.dice, weights.ce, weights.iou, weights.iou_power) == (1.0, 1.0, 2.0, 2)
    paper = iou_loss(torch.tensor([[0.4]]), torch.tensor([1.0]), LossProfile.PAPER)
    own = iou_loss(torch.tensor([[0.4]]), torch.tensor([1.0]), weights)
    assert own.item() == pytest.approx(paper.item() / 5)
    assert set(mask_loss_parts(LOGITS, REFERENCE, loss_weights("paper", ce=0.0))) == {"dice"}
