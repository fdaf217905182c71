"""Puts masks of stored slices back on the grid of the volume that the slices were made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage.transform import resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sweeper.data.preprocessing import Preprocessing

Shape = tuple[int, int, int]


def restore_mask(
    mask: NDArray[np.bool_],
    shape: Shape,
    spacing_mm: tuple[float, float, float],
    settings: Preprocessing,
) -> NDArray[np.uint8]:
    """The inverse of `preprocessing.prepare_mask` for a mask of every slice.

    A mask is enlarged linearly and cut at 0.5, which keeps a smooth outline smooth. What the
    preprocessing cropped away is background. One slice at a time is enlarged.

    Args:
        mask: `(n, H, W)`, one per stored slice.
        shape: (z, y, x) of the volume in the canonical frame.
        spacing_mm: (z, y, x) of the volume.
        settings: The preprocessing of the volume.

    Returns:
        `(z, y, x)` uint8, 0 and 1.

    Raises:
        ValueError: The mask has another number of slices than the preprocessing makes.
    """
    grid = _resampled_shape(shape, spacing_mm, settings)
    if len(mask) != grid[0]:
        raise ValueError(
            f"the mask has {len(mask)} slices, but a volume of shape {shape} at {spacing_mm} mm is"
            f" prepared as {grid[0]}"
        )
    restored = np.zeros(grid, dtype=np.uint8)
    for plane, out in zip(mask, restored, strict=True):
        if plane.any():
            _restore_plane(plane, out, settings)
    if grid == shape:
        return restored
    factors = [n / m for n, m in zip(shape, grid, strict=True)]
    zoomed = ndimage.zoom(
        restored.astype(np.float32), factors, order=1, mode="nearest", grid_mode=True
    )
    resampled: NDArray[np.uint8] = (zoomed > 0.5).astype(np.uint8)
    return resampled


def _resampled_shape(
    shape: Shape, spacing_mm: tuple[float, float, float], settings: Preprocessing
) -> Shape:
    """Shape after the initial resampling, as `preprocessing._resample` rounds it."""
    if settings.resample_mm is None:
        return shape
    z, y, x = (
        max(1, round(n * old / new))
        for n, old, new in zip(shape, spacing_mm, settings.resample_mm, strict=True)
    )
    return z, y, x


def _restore_plane(
    plane: NDArray[np.bool_], out: NDArray[np.uint8], settings: Preprocessing
) -> None:
    """Write a stored slice `(H, W)` into a plane of the volume `(y, x)` of zeros."""
    kept = [_kept(length, settings) for length in out.shape]
    sides = [settings.centre_crop_px or end - start for start, end in kept]
    enlarged = (
        resize(plane.astype(np.float32), sides, order=1, mode="edge", anti_aliasing=False) > 0.5
    )
    # the centre crop padded a short axis; its voxels are not in the volume
    pads = [
        max(0, side - (end - start)) // 2 for side, (start, end) in zip(sides, kept, strict=True)
    ]
    (y0, y1), (x0, x1) = kept
    out[y0:y1, x0:x1] = enlarged[pads[0] : pads[0] + y1 - y0, pads[1] : pads[1] + x1 - x0]


def _kept(length: int, settings: Preprocessing) -> tuple[int, int]:
    """First and last + 1 voxel of an axis that the preprocessing keeps."""
    cut = round(settings.crop_fraction * length)
    start, end = cut, length - cut
    if settings.centre_crop_px is not None:
        start += max(0, (end - start - settings.centre_crop_px) // 2)
        end = min(end, start + settings.centre_crop_px)
    return start, end
