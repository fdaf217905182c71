"""Dice, HD95 and ASD of case volumes, under both scoring protocols."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import ndimage

from desam_model.scoring.case_score import CaseScore
from desam_model.scoring.protocols import protocol_view

if TYPE_CHECKING:
    from desam_model.scoring.protocols import ScoringProtocol
    from desam_model.types import Domain


class SurfaceDistances(NamedTuple):
    """Distances between two surfaces, millimetres.

    Attributes:
        hd95_mm: 95th percentile of the distances in both directions together.
        asd_mm: Mean of the distances in both directions together.
    """

    hd95_mm: float
    asd_mm: float


def dice(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Overlap 2|P & R| / (|P| + |R|) in [0, 1]; nan where both are empty.

    Deviation: the release's medpy gives 0 for two empty masks; undefined is nan here.
    """
    total = int(np.count_nonzero(prediction)) + int(np.count_nonzero(reference))
    if total == 0:
        return math.nan
    return 2.0 * int(np.count_nonzero(prediction & reference)) / total


def surface_distances(
    prediction: np.ndarray, reference: np.ndarray, *, spacing_mm: tuple[float, float, float]
) -> SurfaceDistances:
    """HD95 and symmetric mean surface distance; nan where either mask is empty.

    A surface is a mask's voxels with a 6-neighbour outside it (or outside the volume), as in
    `hd95` and `assd` of medpy 0.5.

    Args:
        prediction: `(n, H, W)` bool.
        reference: `(n, H, W)` bool.
        spacing_mm: (z, y, x), millimetres.
    """
    if not prediction.any() or not reference.any():
        return SurfaceDistances(math.nan, math.nan)
    # Distance transforms of the box around both masks: exact, and faster than a search tree
    box = ndimage.find_objects((prediction | reference).astype(np.uint8))[0]
    assert box is not None
    surfaces = [_surface(mask[box]) for mask in (prediction, reference)]
    distances = np.concatenate(
        [
            ndimage.distance_transform_edt(~other, sampling=spacing_mm)[own]
            for own, other in (surfaces, surfaces[::-1])
        ]
    )
    return SurfaceDistances(
        hd95_mm=float(np.percentile(distances, 95)), asd_mm=float(distances.mean())
    )


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
    protocol: ScoringProtocol,
    drops_last: bool = True,
) -> CaseScore:
    """One case under one protocol.

    Args:
        prediction: `(n, H, W)` bool, the case's foreground slices in ascending z.
        reference: `(n, H, W)` bool.
        case: Case id.
        domain: Domain of the case.
        structure: Segmented structure.
        spacing_mm: (z, y, x), millimetres.
        protocol: How to score.
        drops_last: See `protocol_view`.

    Raises:
        ValueError: The shapes differ or are not `(n, H, W)`.
    """
    if prediction.shape != reference.shape or prediction.ndim != 3:
        raise ValueError(
            f"case {case}: the prediction has shape {prediction.shape} and the reference"
            f" {reference.shape}; both must be the same (n, H, W)"
        )
    seen, truth = protocol_view(
        prediction.astype(bool), reference.astype(bool), protocol, drops_last=drops_last
    )
    distances = surface_distances(seen, truth, spacing_mm=spacing_mm)
    return CaseScore(
        case=case,
        domain=domain,
        structure=structure,
        protocol=protocol,
        n_slices=len(truth),
        dice=dice(seen, truth),
        hd95_mm=distances.hd95_mm,
        asd_mm=distances.asd_mm,
    )
