"""The functions that `metric_table` names, and every metric of a case under a protocol."""

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
    """Overlap 2|P & R| / (|P| + |R|) in [0, 1]; nan where both are empty.

    Deviation: the release's medpy gives 0 for two empty masks; undefined is nan here.
    """
    total = int(np.count_nonzero(prediction)) + int(np.count_nonzero(reference))
    if total == 0:
        return math.nan
    return 2.0 * int(np.count_nonzero(prediction & reference)) / total


def hd95(prediction: np.ndarray, reference: np.ndarray, spacing_mm: Spacing) -> float:
    """95th percentile of the distances in both directions together; nan without two surfaces."""
    distances = surface_distances(prediction, reference, spacing_mm)
    return float(np.percentile(distances, 95)) if distances.size else math.nan


def asd(prediction: np.ndarray, reference: np.ndarray, spacing_mm: Spacing) -> float:
    """Mean of the distances in both directions together; nan without two surfaces."""
    distances = surface_distances(prediction, reference, spacing_mm)
    return float(distances.mean()) if distances.size else math.nan


def surface_distances(
    prediction: np.ndarray, reference: np.ndarray, spacing_mm: Spacing
) -> np.ndarray:
    """From each surface's voxels to the other surface, millimetres; none if a mask is empty.

    A surface is a mask's voxels with a 6-neighbour outside it (or outside the volume), as in
    `hd95` and `assd` of medpy 0.5. Asked again for the same masks, it answers from memory.

    Args:
        prediction: `(n, H, W)` bool.
        reference: `(n, H, W)` bool.
        spacing_mm: (z, y, x), millimetres.
    """
    # The contents are the key, so that a mask changed in place is another one; 1 ms a case
    return _distances(prediction.tobytes(), reference.tobytes(), reference.shape, spacing_mm)


@lru_cache(maxsize=1)
def _distances(one: bytes, other: bytes, shape: tuple[int, ...], spacing_mm: Spacing) -> np.ndarray:
    masks = [np.frombuffer(mask, dtype=bool).reshape(shape) for mask in (one, other)]
    if not masks[0].any() or not masks[1].any():
        return np.empty(0)
    # Distance transforms of the box around both masks: exact, and faster than a search tree
    box = ndimage.find_objects((masks[0] | masks[1]).astype(np.uint8))[0]
    assert box is not None
    surfaces = [_surface(mask[box]) for mask in masks]
    distances = np.concatenate(
        [
            ndimage.distance_transform_edt(~towards, sampling=spacing_mm)[own]
            for own, towards in (surfaces, surfaces[::-1])
        ]
    )
    distances.flags.writeable = False
    return distances


def _surface(mask: np.ndarray) -> np.ndarray:
    """The mask's voxels with a 6-neighbour outside it, or outside the array; bool."""
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
    """Every metric of one case under one protocol.

    Args:
        prediction: `(n, H, W)` bool, the case's foreground slices in ascending z.
        reference: `(n, H, W)` bool.
        case: Case id.
        domain: Domain of the case.
        structure: Segmented structure.
        spacing_mm: (z, y, x), millimetres.
        protocol: How to score.
        drops_last: True if the last slice is the case's last foreground slice.

    Raises:
        ValueError: The shapes differ or are not `(n, H, W)`.
    """
    if prediction.shape != reference.shape or prediction.ndim != 3:
        raise ValueError(
            f"case {case}: the prediction has shape {prediction.shape} and the reference"
            f" {reference.shape}; both must be the same (n, H, W)"
        )
    seen, truth = protocol.view(prediction.astype(bool), reference.astype(bool), drops_last)
    return CaseScore(
        case=case,
        domain=domain,
        structure=structure,
        protocol=protocol.name,
        n_slices=len(truth),
        values={
            name: float(metric.function()(seen, truth, spacing_mm))
            for name, metric in metrics().items()
        },
    )
