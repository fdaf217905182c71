"""Clean-up of predicted masks: small holes are filled, small islands removed."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

REGION_FRAME_PX = 256 * 256
"""Area that `min_region_px` is stated for (sources.md S24)."""

_EIGHT = np.ones((3, 3), dtype=bool)


def clean_regions(mask: np.ndarray, min_region_px: int) -> np.ndarray:
    """The mask with small holes filled and small islands removed.

    Regions are 8-connected. If every island is small, the largest is kept, so that a small organ
    survives; an empty mask stays empty.

    Args:
        mask: `(H, W)` bool.
        min_region_px: Area in px at 256 x 256, scaled to the mask's size; regions below it are
            small. 0 changes nothing.

    Source:
        SAM, `utils/amg.py::remove_small_regions` (sources.md S24).
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
