"""From low-resolution logits to the pixels of the image."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor


def resample_logits(logits: Tensor, frame_hw: tuple[int, int], image_hw: tuple[int, int]) -> Tensor:
    """Logits `(B, 1, h, w)` in the image's own pixels `(B, 1, H, W)`, float32.

    Bilinear twice, first to the encoder's input frame, then to the image, as SAM's
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
    """One axis of a chain of bilinear resamplings as a matrix `(sizes[-1], sizes[0])`.

    Bilinear resampling is linear and separable, so the chain is two small matrix products; their
    gradient is much cheaper than `interpolate`'s.
    """
    with torch.inference_mode(mode=False), torch.no_grad():
        matrix = torch.eye(sizes[0])[None]  # (1, source, source)
        for size in sizes[1:]:
            matrix = functional.interpolate(matrix, size=size, mode="linear", align_corners=False)
        return matrix[0].T.contiguous().to(device)
