from __future__ import annotations

import math

import pytest
import torch

from desam_model.comparisons.image.softmax_losses import (
    batch_dice,
    cross_entropy,
    divergence,
    soft_dice,
)


def logits_of(mask, sure=20.0):
    foreground = sure * (2 * mask - 1)
    return torch.cat([-foreground, foreground], dim=1) / 2


@pytest.fixture
def mask():
    mask = torch.zeros(2, 1, 8, 8)
    mask[:, :, 2:5, 1:7] = 1
    return mask


def test_a_perfect_prediction_costs_nothing(mask):
    logits = logits_of(mask)
    for loss in (cross_entropy, soft_dice, batch_dice):
        assert loss(logits, mask).max() == pytest.approx(0, abs=1e-4)
    assert soft_dice(logits, mask, "all").max() == pytest.approx(0, abs=1e-4)


def test_an_undecided_prediction_costs_the_logarithm_of_two(mask):
    assert cross_entropy(torch.zeros(2, 2, 8, 8), mask).tolist() == pytest.approx([math.log(2)] * 2)


def test_dice_counts_by_slice_or_over_the_batch(mask):
    half = mask.clone()
    half[1] = 0
    logits = logits_of(mask)
    assert soft_dice(logits, half).tolist() == pytest.approx([0, 1], abs=1e-3)
    assert batch_dice(logits, half).item() == pytest.approx(1 / 3, abs=1e-3)


def test_an_empty_reference_has_a_finite_loss_and_gradient():
    logits = torch.zeros(1, 2, 8, 8, requires_grad=True)
    (soft_dice(logits, torch.zeros(1, 1, 8, 8)).sum()).backward()
    assert torch.isfinite(logits.grad).all()


def test_divergence_is_zero_for_equal_and_positive_for_other_predictions():
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(1, 2, 8, 8, generator=generator) for _ in range(2))
    assert divergence(first, first) == pytest.approx(0, abs=1e-6)
    assert divergence(first, second) > 0
    expected = (
        torch.nn.functional.kl_div(second.log_softmax(1), first.softmax(1), reduction="sum") / 64
    )
    assert divergence(first, second) == pytest.approx(expected.item(), rel=1e-5)
