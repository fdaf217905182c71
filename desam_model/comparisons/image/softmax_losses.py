"""Losses on two-channel logits, common to the image methods of the literature.

In all functions, logits are `(B, 2, H, W)` (background, foreground) of any float dtype, computed in
float32; the reference is `(B, 1, H, W)` with values 0 and 1, and `IGNORED` in pixels that do not
count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch.nn import functional

from desam_model.types import IGNORED

if TYPE_CHECKING:
    from torch import Tensor

SMOOTH = 1e-5
"""Added to the denominator of the Dice, and to its numerator for `foreground` (sources.md S48)."""


def cross_entropy(logits: Tensor, reference: Tensor) -> Tensor:
    """Mean cross-entropy over the pixels of each slice that count, `(B,)`, >= 0."""
    target = reference[:, 0].round().long()
    loss = functional.cross_entropy(
        logits.float(), target, reduction="none", ignore_index=IGNORED
    ).mean(dim=(1, 2))
    counts = (target >= 0).float().mean(dim=(1, 2))
    return loss / counts.clamp_min(1 / target[0].numel())


def soft_dice(
    logits: Tensor, reference: Tensor, classes: Literal["foreground", "all"] = "foreground"
) -> Tensor:
    """One minus the soft Dice of each slice, `(B,)`, in [0, 1].

    Args:
        logits: `(B, 2, H, W)`.
        reference: `(B, 1, H, W)`.
        classes: `foreground` only, as in nnU-Net; or the mean over `all` classes, as in CSDG
            (sources.md S48).
    """
    counts, inside = reference >= 0, reference.clamp_min(0)
    probability = logits.float().softmax(dim=1) * counts
    target = torch.cat([1 - inside, inside], dim=1).float() * counts
    overlap = (probability * target).sum(dim=(2, 3))
    total = (probability + target).sum(dim=(2, 3))
    if classes == "all":
        return 1 - (2 * overlap / (total + SMOOTH)).mean(dim=1)
    return 1 - (2 * overlap[:, 1] + SMOOTH) / (total[:, 1] + SMOOTH)


def batch_dice(logits: Tensor, reference: Tensor) -> Tensor:
    """One minus the soft Dice of the foreground over the whole batch, a scalar (as in nnU-Net)."""
    probability = (logits.float().softmax(dim=1) * (reference >= 0))[:, 1:]
    inside = reference.clamp_min(0)
    overlap = (probability * inside).sum()
    return 1 - (2 * overlap + SMOOTH) / (probability.sum() + inside.sum() + SMOOTH)


def at_scale_of(logits: Tensor, reference: Tensor) -> Tensor:
    """The reference at the size of the logits by nearest neighbour, `(B, 1, h, w)`."""
    if logits.shape[-2:] == reference.shape[-2:]:
        return reference
    return functional.interpolate(reference, size=logits.shape[-2:], mode="nearest-exact")


def divergence(target_logits: Tensor, logits: Tensor) -> Tensor:
    """KL(softmax(target) || softmax(logits)), summed over classes and averaged over pixels.

    Source: sources.md S38.
    """
    target = target_logits.float().log_softmax(dim=1)
    other = logits.float().log_softmax(dim=1)
    return (target.exp() * (target - other)).sum(dim=1).mean()
