"""The metric functions that `metric_table` names."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    Spacing = tuple[float, float, float]


def dice(prediction: np.ndarray, reference: np.ndarray, spacing_mm: Spacing) -> float:
    """Overlap 2|P & R| / (|P| + |R|) in [0, 1]; nan if both masks are empty.

    Deviation: medpy, which the release uses, returns 0 for two empty masks; here the result is nan.
    """
    total = int(np.count_nonzero(prediction)) + int(np.count_nonzero(reference))
    if total == 0:
        return math.nan
    return 2.0 * int(np.count_nonzero(prediction & reference)) / total


def hd95(prediction: np.ndarray, reference: np.ndarray, spacing_mm: Spacing) -> float:
    """95th percentile of the surface distances of both directions pooled; nan if a mask is empty.

    Source: medpy 0.5 `hd95`; sources.md S80.
    """
    pooled = np.concatenate(surface_distances(prediction, reference, spacing_mm))
    return float(np.percentile(pooled, 95)) if pooled.size else math.nan


def asd(prediction: np.ndarray, reference: np.ndarray, spacing_mm: Spacing) -> float:
    """Mean of the surface distances of both directions pooled; nan if a mask is empty.

    Source: medpy 0.5 `assd`, and MONAI's with `symmetric=True`; sources.md S80.
    """
    pooled = np.concatenate(surface_distances(prediction, reference, spacing_mm))
    return float(pooled.mean()) if pooled.size else math.nan


def hd95_monai(prediction: np.ndarray, reference: np.ndarray, spacing_mm: Spacing) -> float:
    """The larger one of the two directions' 95th percentiles; nan if a mask is empty.

    Source: MONAI `compute_hausdorff_distance(percentile=95)`; sources.md S80.
    """
    directions = surface_distances(prediction, reference, spacing_mm)
    return max((float(np.percentile(d, 95)) for d in directions if d.size), default=math.nan)


def asd_monai(prediction: np.ndarray, reference: np.ndarray, spacing_mm: Spacing) -> float:
    """Mean distance from the prediction's surface to the reference's; nan if a mask is empty.

    A reference that sticks out of the prediction costs nothing.

    Source: MONAI `compute_average_surface_distance` with its default, `symmetric=False`; S80.
    """
    to_reference, _ = surface_distances(prediction, reference, spacing_mm)
    return float(to_reference.mean()) if to_reference.size else math.nan


def surface_distances(
    prediction: np.ndarray, reference: np.ndarray, spacing_mm: Spacing
) -> tuple[np.ndarray, np.ndarray]:
    """Distances from each surface to the other, in millimetres: prediction first, then reference.

    The surface of a mask is the set of its voxels with a 6-neighbour outside the mask or outside
    the volume, as in `hd95` and `assd` of medpy 0.5. Both arrays are empty if a mask is empty. The
    last result is cached.

    Args:
        prediction: `(n, H, W)` bool.
        reference: `(n, H, W)` bool.
        spacing_mm: Voxel spacing (z, y, x) in millimetres.
    """
    # The key is the content, because a mask may be changed in place; this takes 1 ms per case
    return _distances(prediction.tobytes(), reference.tobytes(), reference.shape, spacing_mm)


@lru_cache(maxsize=1)
def _distances(
    prediction: bytes, reference: bytes, shape: tuple[int, ...], spacing_mm: Spacing
) -> tuple[np.ndarray, np.ndarray]:
    masks = [np.frombuffer(mask, dtype=bool).reshape(shape) for mask in (prediction, reference)]
    if not masks[0].any() or not masks[1].any():
        return np.empty(0), np.empty(0)
    # Distance transforms within the bounding box of both masks: exact, and faster than a k-d tree
    box = ndimage.find_objects((masks[0] | masks[1]).astype(np.uint8))[0]
    assert box is not None
    surfaces = [_surface(mask[box]) for mask in masks]
    to_reference, to_prediction = (
        ndimage.distance_transform_edt(~target, sampling=spacing_mm)[source]
        for source, target in (surfaces, surfaces[::-1])
    )
    to_reference.flags.writeable = to_prediction.flags.writeable = False
    return to_reference, to_prediction


def _surface(mask: np.ndarray) -> np.ndarray:
    """Voxels of the mask with a 6-neighbour outside the mask or outside the array; bool."""
    surface: np.ndarray = mask & ~ndimage.binary_erosion(mask)
    return surface
