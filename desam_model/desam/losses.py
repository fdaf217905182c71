"""DeSAM's losses, as described in the paper and as computed by the released code."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from desam_model.types import IGNORED

if TYPE_CHECKING:
    from torch import Tensor

_SMOOTH = 1e-5


class LossProfile(StrEnum):
    """The two versions of DeSAM's loss: the paper's and the released code's (sources.md S21)."""

    PAPER = "paper"
    RELEASED = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class LossWeights:
    """Weights of the loss terms.

    Attributes:
        dice: Weight of the squared soft Dice loss.
        ce: Weight of the binary cross-entropy.
        iou: Weight of the error of the predicted IoU.
        iou_power: 2 for the squared error, 1 for the absolute error.
    """

    dice: float
    ce: float
    iou: float
    iou_power: int


LossChoice = LossProfile | LossWeights | str
"""A profile, its name, or custom weights."""

PROFILES = {
    LossProfile.PAPER: LossWeights(dice=1.0, ce=1.0, iou=10.0, iou_power=2),
    # The release's cross-entropy over a single channel is always zero (sources.md S22)
    LossProfile.RELEASED: LossWeights(dice=1.0, ce=0.0, iou=1.0, iou_power=1),
}


def loss_weights(
    profile: LossChoice,
    *,
    dice: float | None = None,
    ce: float | None = None,
    iou: float | None = None,
) -> LossWeights:
    """The weights of a profile; each value that is given replaces that of the profile."""
    base = profile if isinstance(profile, LossWeights) else PROFILES[LossProfile(profile)]
    return replace(
        base,
        dice=base.dice if dice is None else dice,
        ce=base.ce if ce is None else ce,
        iou=base.iou if iou is None else iou,
    )


def squared_dice_loss(logits: Tensor, reference: Tensor) -> Tensor:
    """Soft Dice loss with squared denominators, per sample `(B,)`, in [0, 1], float32.

    Args:
        logits: `(B, 1, H, W)`.
        reference: `(B, 1, H, W)`, values 0 and 1; pixels with `IGNORED` do not count.

    Source:
        MONAI 1.1.0, `DiceLoss(sigmoid=True, squared_pred=True)`, as used by DeSAM
        (sources.md S22).
    """
    target = reference.float().flatten(1)
    probability = logits.float().sigmoid().flatten(1) * (target >= 0)
    target = target.clamp_min(0)
    overlap = (probability * target).sum(dim=1)
    total = probability.square().sum(dim=1) + target.square().sum(dim=1)
    return 1.0 - (2.0 * overlap + _SMOOTH) / (total + _SMOOTH)


def cross_entropy_loss(logits: Tensor, reference: Tensor) -> Tensor:
    """Binary cross-entropy, mean over pixels without `IGNORED`, per sample `(B,)`, float32."""
    loss = functional.binary_cross_entropy_with_logits(
        logits.float(), reference.float().clamp_min(0), reduction="none"
    )
    counts = (reference >= 0).flatten(1).float()
    return (loss.flatten(1) * counts).mean(dim=1) / share_that_counts(counts)


def share_that_counts(counts: Tensor) -> Tensor:
    """Share of the pixels `(B, n)` that count, `(B,)`; never 0, as nothing is then divided."""
    return counts.mean(dim=1).clamp_min(1 / counts.shape[1])


def at_logits_size(reference: Tensor, logits: Tensor) -> Tensor:
    """The reference `(B, 1, h, w)` at the size of the logits; unchanged at the released sizes.

    Deviation: logits smaller than the image (only with vit_tiny) are compared with the
    area-averaged reference; upsampling the logits would cost more than the decoder. A pixel with
    any `IGNORED` in its area is ignored.
    """
    size = (logits.shape[-2], logits.shape[-1])
    if size == tuple(reference.shape[-2:]):
        return reference
    is_ignored = functional.adaptive_max_pool2d((reference < 0).to(reference.dtype), size) > 0
    averaged = functional.adaptive_avg_pool2d(reference.clamp_min(0), size)
    return averaged.masked_fill(is_ignored, IGNORED)


def mask_loss_parts(logits: Tensor, reference: Tensor, profile: LossChoice) -> dict[str, Tensor]:
    """Weighted terms of the mask loss, name to `(B,)`; terms with weight zero are left out."""
    weights = loss_weights(profile)
    parts = {"dice": weights.dice * squared_dice_loss(logits, reference)}
    if weights.ce:
        parts["ce"] = weights.ce * cross_entropy_loss(logits, reference)
    return parts


def iou_loss(predicted_iou: Tensor, target: Tensor, profile: LossChoice) -> Tensor:
    """Weighted error of the predicted IoU, per sample `(B,)`, float32.

    Args:
        predicted_iou: `(B, 1)`, unbounded.
        target: `(B,)`, 1 if the training point is inside the reference, else 0; without loss where
            it is `IGNORED`.
        profile: `paper`: 10 x squared error; `released`: absolute error; or custom weights.

    Deviation: the paper calls the target an IoU. Both profiles use the release's target, which says
    if the point is inside the mask, because a decoupled mask has the same IoU for every prompt.
    """
    weights = loss_weights(profile)
    error = torch.abs(predicted_iou.float()[:, 0] - target.float())
    return weights.iou * error**weights.iou_power * (target >= 0)
