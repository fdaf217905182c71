"""Rating a grid of prompts with PRIM alone, in prompt batches of bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from desam_model.prim import PRIM

MAX_BATCH_ELEMENTS = 9 * 4096 * 256
"""Image-token values of a prompt batch: nine prompts at SAM's sizes, as in the release."""


def rate_prompts(prim: PRIM, image: Tensor, image_pe: Tensor, sparse: Tensor) -> Tensor:
    """Predicted IoU `(B, N)` of every prompt on every slice.

    Args:
        prim: The module.
        image: `(B, D, h, w)`, what PRIM attends to.
        image_pe: `(1, D, h, w)`.
        sparse: `(N, n, D)`, tokens of N prompts.
    """
    rows = []
    for one in torch.split(image, 1):
        parts = _batches(prim, one, image_pe, sparse)
        rows.append(torch.cat([iou[:, 0] for iou, _ in parts]))
    return torch.stack(rows)


def mean_mask_embedding(prim: PRIM, image: Tensor, image_pe: Tensor, sparse: Tensor) -> Tensor:
    """Mean over the prompts of the mask embedding, `(B, D, h, w)`; arguments as `rate_prompts`."""
    sums = []
    for one in torch.split(image, 1):
        parts = _batches(prim, one, image_pe, sparse)
        sums.append(torch.stack([mask.sum(dim=0) for _, mask in parts]).sum(dim=0))
    return torch.stack(sums) / len(sparse)


def _batches(
    prim: PRIM, image: Tensor, image_pe: Tensor, sparse: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """PRIM's output for prompt batches on one slice."""
    size = max(1, MAX_BATCH_ELEMENTS // image[0].numel())
    for part in torch.split(sparse, size):
        yield prim(image.expand(len(part), -1, -1, -1), image_pe, part)
