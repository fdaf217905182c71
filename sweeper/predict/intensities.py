"""How the intensities of a scan differ from those that a model was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

_LEVELS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Intensities:
    """The intensities of a model's training cases, after preprocessing.

    Attributes:
        mean: Mean over the cases of their histograms, 256 shares that sum to 1.
        limit: The largest distance of a training case from the mean of the others; scans beyond it
            are unlike every training case.
    """

    mean: tuple[float, ...]
    limit: float

    def distance(self, pixels: NDArray[np.uint8]) -> float:
        """Distance of a scan from the mean, in grey levels: 0 if equal, at most 255.

        It is the earth mover's distance: how far a pixel moves on average to turn one histogram
        into the other.

        Args:
            pixels: The prepared slices `(n, C, H, W)` uint8.
        """
        return _distance(_histogram([pixels]), np.array(self.mean))


def intensities_of(cases: Sequence[Iterable[NDArray[np.uint8]]]) -> Intensities:
    """The intensities of training cases, each given as its slices `(C, H, W)`.

    With a single case the limit is 0, and every other scan is unlike it.

    Raises:
        ValueError: There are no cases.
    """
    if not cases:
        raise ValueError("there are no training cases to take intensities from")
    histograms = np.array([_histogram(slices) for slices in cases])
    total, n = histograms.sum(axis=0), len(histograms)
    limit = (
        max((_distance(h, (total - h) / (n - 1)) for h in histograms), default=0.0)
        if n > 1
        else 0.0
    )
    return Intensities(mean=tuple((total / n).tolist()), limit=limit)


def _histogram(arrays: Iterable[NDArray[np.uint8]]) -> NDArray[np.float64]:
    counts = np.zeros(_LEVELS)
    for array in arrays:
        counts += np.bincount(array.ravel(), minlength=_LEVELS)
    shares: NDArray[np.float64] = counts / counts.sum()
    return shares


def _distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.abs(np.cumsum(one - other)).sum())
