"""From low-resolution logits to clean masks."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

REGION_FRAME_PX = 256 * 256
"""Area that `min_region_px` is stated for (`methods.md` 1.5)."""

_EIGHT = np.ones((3, 3), dtype=bool)


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


def clean_regions(mask: np.ndarray, min_region_px: int) -> np.ndarray:
    """The mask with small holes filled and small islands removed.

    Regions are 8-connected. If every island is small, the largest is kept, so that a small organ
    survives; an empty mask stays empty.

    Args:
        mask: `(H, W)` bool.
        min_region_px: Area in px at 256 x 256, scaled to the mask's size; regions below it are
            small. 0 changes nothing.

    Source:
        SAM, `utils/amg.py::remove_small_regions` (`methods.md` 1.5).
    """
    area = min_region_px * mask.size / REGION_FRAME_PX
    if area <= 0 or not mask.any():
        return mask
    return _without_islands(_without_holes(mask, area), area)


def _without_holes(mask: np.ndarray, area: float) -> np.ndarray:
    labels, sizes = _regions(~mask)
    small = sizes < area
    small[0] = False
    if not small.any():
        return mask
    filled: np.ndarray = mask | small[labels]
    return filled


def _without_islands(mask: np.ndarray, area: float) -> np.ndarray:
    labels, sizes = _regions(mask)
    keep = sizes >= area
    keep[0] = False
    if not keep.any():
        sizes[0] = 0
        keep[sizes.argmax()] = True
    kept: np.ndarray = keep[labels]
    return kept


def _regions(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels `(H, W)`, 0 outside, and the area of each label."""
    labels, count = ndimage.label(mask, structure=_EIGHT)
    return labels, np.bincount(labels.ravel(), minlength=count + 1)
