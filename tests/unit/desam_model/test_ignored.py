"""Ignored pixels count in no loss: it is that of a slice that ends where they begin."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from desam_model.comparisons.image.softmax_losses import (
    at_scale_of,
    batch_dice,
    cross_entropy,
    soft_dice,
)
from desam_model.desam.losses import (
    at_logits_size,
    cross_entropy_loss,
    iou_loss,
    squared_dice_loss,
)
from desam_model.training.epoch import mean_case_dice
from desam_model.types import IGNORED

WIDTH = 8


def soft_dice_of_all(logits, reference):
    return soft_dice(logits, reference, "all")


LOSSES = [
    (squared_dice_loss, 1),
    (cross_entropy_loss, 1),
    (cross_entropy, 2),
    (soft_dice, 2),
    (soft_dice_of_all, 2),
    (batch_dice, 2),
]


def logits_and_reference(channels: int):
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn((3, channels, 6, WIDTH), generator=draw)
    reference = (torch.rand((3, 1, 6, WIDTH), generator=draw) > 0.5).float()
    return logits, reference


@pytest.mark.parametrize(
    ("loss", "channels"), LOSSES, ids=lambda value: getattr(value, "__name__", str(value))
)
def test_the_loss_is_that_of_the_labelled_half(loss, channels) -> None:
    logits, reference = logits_and_reference(channels)
    half = WIDTH // 2
    expected = loss(logits[..., :half], reference[..., :half])
    ignored = reference.clone()
    ignored[..., half:] = IGNORED
    logits.requires_grad_(True)
    found = loss(logits, ignored)
    assert torch.allclose(found, expected, atol=1e-6)
    found.sum().backward()
    assert (logits.grad[..., half:] == 0).all()
    assert (logits.grad[..., :half] != 0).any()


@pytest.mark.parametrize(
    ("loss", "channels"), LOSSES, ids=lambda value: getattr(value, "__name__", str(value))
)
def test_a_slice_that_nobody_labelled_has_a_finite_loss_without_gradient(loss, channels) -> None:
    logits, reference = logits_and_reference(channels)
    logits.requires_grad_(True)
    found = loss(logits, torch.full_like(reference, IGNORED))
    assert torch.isfinite(found).all()
    found.sum().backward()
    assert (logits.grad == 0).all()


def test_a_training_point_where_nobody_labelled_teaches_no_iou() -> None:
    predicted = torch.tensor([[0.3], [0.3], [0.3]])
    loss = iou_loss(predicted, torch.tensor([1.0, 0.0, IGNORED]), "paper")
    assert loss.tolist() == pytest.approx([4.9, 0.9, 0.0])


def test_a_smaller_reference_keeps_what_is_ignored() -> None:
    reference = torch.zeros(1, 1, 8, 8)
    reference[..., :4] = 1.0
    reference[0, 0, 0, 7] = IGNORED
    logits = torch.zeros(1, 1, 4, 4)
    assert at_logits_size(reference, logits)[0, 0, 0].tolist() == [1, 1, 0, IGNORED]
    assert at_logits_size(reference, logits)[0, 0, 1].tolist() == [1, 1, 0, 0]
    assert set(at_scale_of(logits, reference).unique().tolist()) <= {IGNORED, 0, 1}


def test_validation_dice_does_not_count_ignored_pixels(make_slices) -> None:
    (slice_,) = make_slices(1, 1)
    reference = torch.zeros_like(slice_.reference, dtype=torch.int8)
    reference[:8], reference[8:16] = 1, IGNORED
    predicted = (reference != 0).numpy()
    assert mean_case_dice([predicted], [replace(slice_, reference=reference)]) == 1.0
    as_background = replace(slice_, reference=reference.clamp_min(0))
    assert mean_case_dice([predicted], [as_background]) == pytest.approx(2 / 3)
