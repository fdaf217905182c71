"""Whether a training learned: its loss at the end, and its own cases against a constant mask."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING

from desam_model.scoring.constant_mask import best_constant_mask
from desam_model.scoring.evaluate import predict_slices
from desam_model.slices import ReadOnce
from desam_model.training.epoch import mean_case_dice
from desam_model.training.fit import VALIDATION_SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from desam_model.method import SegmentationMethod
    from desam_model.types import Batch, Slice

TAIL_SHARE = 0.1
"""The last tenth of the epochs is compared with the tenth before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Convergence:
    """What is known of how far a training got.

    Attributes:
        loss_fall_share: Share of the training loss's whole fall that fell in the last tenth of the
            epochs; 1.0 with fewer than three epochs.
        train_dice: Mean Dice over its own training cases, in [0, 1], of the selected weights; with
            the prompts and without the IoU threshold of source validation.
        constant_dice: Dice of the best constant mask on the same cases.
    """

    loss_fall_share: float
    train_dice: float
    constant_dice: float


def loss_fall_share(losses: Sequence[float]) -> float:
    """Share of a loss's whole fall that fell in the last tenth of the epochs.

    A loss that did not fall at all has levelled off, wherever it is: 0.
    """
    if len(losses) < 3:
        return 1.0
    tail = max(1, round(TAIL_SHARE * len(losses)))
    last, before = fmean(losses[-tail:]), fmean(losses[-2 * tail : -tail])
    fall = losses[0] - last
    return max(0.0, (before - last) / fall) if fall > 0 else 0.0


def measure(
    method: SegmentationMethod,
    train: Sequence[Slice],
    losses: Sequence[float],
    batches: Callable[[Sequence[Slice]], Iterable[Batch]],
) -> Convergence:
    """How far a training got.

    Args:
        method: With the selected weights; not changed.
        train: Slices of its training cases.
        losses: Mean training loss of every epoch.
        batches: Makes batches of slices.
    """
    once = ReadOnce(train)
    masks = predict_slices(method, once, replace(VALIDATION_SETTINGS, min_region_px=0), batches)
    slices = once.slices()
    return Convergence(
        loss_fall_share=loss_fall_share(losses),
        train_dice=mean_case_dice(list(masks), slices),
        constant_dice=best_constant_mask(slices)[1],
    )
