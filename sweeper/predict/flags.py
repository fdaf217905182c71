"""Marks predictions that a person should look at."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from scipy import ndimage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sweeper.predict.intensities import Intensities


class Flag(StrEnum):
    """Why a prediction should be looked at."""

    EMPTY = "empty"
    """No voxel is segmented."""
    TOUCHES_BORDER = "touches_border"
    """The mask reaches the border of an image plane."""
    AT_SCAN_END = "at_scan_end"
    """The mask is in the first or last slice: the structure may be cut off."""
    SEVERAL_COMPONENTS = "several_components"
    """The mask has more than one connected part (26 neighbours; 8 in a single slice)."""
    UNLIKE_TRAINING = "unlike_training"
    """The intensities differ more from the training cases' than those among each other."""


MEANINGS = {
    Flag.EMPTY: "no voxel is segmented",
    Flag.TOUCHES_BORDER: "the mask reaches the border of an image plane",
    Flag.AT_SCAN_END: "the mask is in the first or last slice, so it may be cut off",
    Flag.SEVERAL_COMPONENTS: "the mask has several parts",
    Flag.UNLIKE_TRAINING: "the intensities are unlike those of every training case",
}
"""The flags in words."""


def flags_of(
    mask: NDArray[np.bool_], pixels: NDArray[np.uint8], intensities: Intensities
) -> tuple[Flag, ...]:
    """The flags of a prediction, in the order of `Flag`.

    Args:
        mask: `(n, H, W)`, of all prepared slices.
        pixels: `(n, C, H, W)` uint8, the slices.
        intensities: Of the training cases.
    """
    border = mask[:, 0].any() or mask[:, -1].any() or mask[..., 0].any() or mask[..., -1].any()
    _, n_components = ndimage.label(mask, structure=ndimage.generate_binary_structure(3, 3))
    is_flagged = {
        Flag.EMPTY: not mask.any(),
        Flag.TOUCHES_BORDER: bool(border),
        Flag.AT_SCAN_END: len(mask) > 1 and bool(mask[0].any() or mask[-1].any()),
        Flag.SEVERAL_COMPONENTS: n_components > 1,
        Flag.UNLIKE_TRAINING: intensities.distance(pixels) > intensities.limit,
    }
    return tuple(flag for flag, is_set in is_flagged.items() if is_set)
