"""The best constant mask: what a method must beat to have learned anything from the images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from desam_model.scoring.metrics import dice
from desam_model.slices import by_case

if TYPE_CHECKING:
    from collections.abc import Sequence

    from desam_model.types import Slice

_LEVELS = np.arange(0.05, 1.0, 0.05)


def best_constant_mask(train: Sequence[Slice]) -> tuple[np.ndarray, float]:
    """The one mask for every slice that fits some cases best, and its Dice on them.

    It is the mean reference, cut at the level with the highest mean Dice over the cases; every
    case counts alike.

    Args:
        train: Slices of whole cases.

    Returns:
        The mask `(H, W)` bool, and its mean Dice over the cases, in [0, 1].
    """
    slices = list(train)
    labelled = [
        np.stack([slices[i].reference.numpy() for i in order]) for order in by_case(slices).values()
    ]
    references = [reference > 0 for reference in labelled]
    mean = np.mean([reference.mean(axis=0) for reference in references], axis=0)
    best, highest = mean > _LEVELS[0], 0.0
    for level in _LEVELS:
        cut = mean > level
        if not cut.any():
            break
        mean_dice = float(np.mean([dice(cut & (v >= 0), v > 0, (1.0, 1.0, 1.0)) for v in labelled]))
        if mean_dice > highest:
            best, highest = cut, mean_dice
    return best, highest
