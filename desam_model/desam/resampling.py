"""Resampling of low-resolution mask logits to the image size."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor


def resample_logits(logits: Tensor, frame_hw: tuple[int, int], image_hw: tuple[int, int]) -> Tensor:
    """Logits `(B, 1, h, w)` at the size of the image `(B, 1, H, W)`, float32.

    Two bilinear resamplings, first to the encoder's input frame, then to the image, as in SAM's
    `postprocess_masks`.

    Args:
        logits: Mask logits.
        frame_hw: The encoder's input frame, px.
        image_hw: H, W of the image and its reference, px.
    """
    logits = logits.float()
    height, width = logits.shape[-2:]
    rows = _bilinear_matrix((height, frame_hw[0], image_hw[0]), logits.device)
    columns = _bilinear_matrix((width, frame_hw[1], image_hw[1]), logits.device)
    with torch.autocast(logits.device.type, enabled=False):
        return rows @ logits @ columns.mT


@functools.lru_cache(maxsize=16)
def _bilinear_matrix(sizes: tuple[int, ...], device: torch.device) -> Tensor:
    """A chain of bilinear resamplings along one axis, as a matrix `(sizes[-1], sizes[0])`.

    Bilinear resampling is linear and separable, so the whole chain is two small matrix products.
    Their gradient is much cheaper than that of `interpolate`.
    """
    with torch.inference_mode(mode=False), torch.no_grad():
        matrix = torch.eye(sizes[0])[None]  # (1, source, source)
        for size in sizes[1:]:
            matrix = functional.interpolate(matrix, size=size, mode="linear", align_corners=False)
        return matrix[0].T.contiguous().to(device)
