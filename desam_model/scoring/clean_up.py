"""Clean-up of predicted masks: small holes are filled and small islands are removed."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

REGION_FRAME_PX = 256 * 256
"""Image area to which `min_region_px` refers (sources.md S24)."""

_EIGHT = np.ones((3, 3), dtype=bool)


def clean_regions(mask: np.ndarray, min_region_px: int) -> np.ndarray:
    """The mask with small holes filled and small islands removed.

    Regions are 8-connected. If all islands are small, the largest is kept, so that a small organ is
    not lost. An empty mask stays empty.

    Args:
        mask: `(H, W)` bool.
        min_region_px: Area in px at 256 x 256, scaled to the size of the mask; smaller regions are
            removed or filled. With 0 the mask is not changed.

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
    without_islands: np.ndarray = keep[labels]
    return without_islands


def _regions(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels `(H, W)`, 0 outside, and the area of each label."""
    labels, count = ndimage.label(mask, structure=_EIGHT)
    return labels, np.bincount(labels.ravel(), minlength=count + 1)
