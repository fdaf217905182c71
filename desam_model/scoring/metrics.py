"""The metric functions that `metric_table` names, and the score of a case under a protocol."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from desam_model.scoring.case_score import CaseScore
from desam_model.scoring.metric_table import metrics

if TYPE_CHECKING:
    from desam_model.scoring.protocol_table import Protocol
    from desam_model.types import Domain

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
    """95th percentile of the surface distances of both directions; nan if a mask is empty."""
    distances = surface_distances(prediction, reference, spacing_mm)
    return float(np.percentile(distances, 95)) if distances.size else math.nan


def asd(prediction: np.ndarray, reference: np.ndarray, spacing_mm: Spacing) -> float:
    """Mean of the surface distances of both directions; nan if a mask is empty."""
    distances = surface_distances(prediction, reference, spacing_mm)
    return float(distances.mean()) if distances.size else math.nan


def surface_distances(
    prediction: np.ndarray, reference: np.ndarray, spacing_mm: Spacing
) -> np.ndarray:
    """Distances from the voxels of each surface to the other surface, in millimetres.

    The surface of a mask is the set of its voxels with a 6-neighbour outside the mask or outside
    the volume, as in `hd95` and `assd` of medpy 0.5. The array is empty if a mask is empty. The
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
) -> np.ndarray:
    masks = [np.frombuffer(mask, dtype=bool).reshape(shape) for mask in (prediction, reference)]
    if not masks[0].any() or not masks[1].any():
        return np.empty(0)
    # Distance transforms within the bounding box of both masks: exact, and faster than a k-d tree
    box = ndimage.find_objects((masks[0] | masks[1]).astype(np.uint8))[0]
    assert box is not None
    surfaces = [_surface(mask[box]) for mask in masks]
    distances = np.concatenate(
        [
            ndimage.distance_transform_edt(~target, sampling=spacing_mm)[source]
            for source, target in (surfaces, surfaces[::-1])
        ]
    )
    distances.flags.writeable = False
    return distances


def _surface(mask: np.ndarray) -> np.ndarray:
    """Voxels of the mask with a 6-neighbour outside the mask or outside the array; bool."""
    surface: np.ndarray = mask & ~ndimage.binary_erosion(mask)
    return surface


def score_case(
    prediction: np.ndarray,
    reference: np.ndarray,
    *,
    case: str,
    domain: Domain,
    structure: str,
    spacing_mm: tuple[float, float, float],
    protocol: Protocol,
    drops_last: bool = True,
) -> CaseScore:
    """All metrics of one case under one protocol.

    Args:
        prediction: `(n, H, W)` bool, the foreground slices of the case in ascending z.
        reference: `(n, H, W)` bool.
        case: Case id.
        domain: Domain of the case.
        structure: Segmented structure.
        spacing_mm: Voxel spacing (z, y, x) in millimetres.
        protocol: The scoring protocol.
        drops_last: True if the last slice is the last foreground slice of the case.

    Raises:
        ValueError: The shapes differ or are not `(n, H, W)`.
    """
    if prediction.shape != reference.shape or prediction.ndim != 3:
        raise ValueError(
            f"case {case}: the prediction has shape {prediction.shape} and the reference"
            f" {reference.shape}; both must have the same shape (n, H, W)"
        )
    predicted, expected = protocol.view(prediction.astype(bool), reference.astype(bool), drops_last)
    return CaseScore(
        case=case,
        domain=domain,
        structure=structure,
        protocol=protocol.name,
        n_slices=len(expected),
        values={
            name: float(metric.function()(predicted, expected, spacing_mm))
            for name, metric in metrics().items()
        },
    )
