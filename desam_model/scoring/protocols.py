"""Functions of the scoring protocols: they select the slices and pixels to be scored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

EDGE_PX = 50
"""Border of predictions that `desam2024` clears, in px at 256 x 256 (sources.md S6)."""

_EDGE_FRAME_PX = 256


def as_predicted(
    prediction: np.ndarray, reference: np.ndarray, drops_last: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Both masks unchanged; see `protocol_table.Protocol`."""
    del drops_last
    return prediction, reference


def as_released(
    prediction: np.ndarray, reference: np.ndarray, drops_last: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Both masks without the last foreground slice, and the prediction with a cleared border.

    The border is 50 px wide at 256 x 256. The reference keeps its border, as in the released code;
    see `protocol_table.Protocol`.
    """
    if drops_last:
        prediction, reference = prediction[:-1], reference[:-1]
    height, width = prediction.shape[1:]
    rows = round(EDGE_PX * height / _EDGE_FRAME_PX)
    columns = round(EDGE_PX * width / _EDGE_FRAME_PX)
    cleared = np.zeros_like(prediction)
    inner = np.s_[:, rows : height - rows, columns : width - columns]
    cleared[inner] = prediction[inner]
    return cleared, reference


def whole_scan(shown: np.ndarray, hidden: np.ndarray, hidden_z: Sequence[int]) -> np.ndarray:
    """The masks of a whole scan, each at its place, so that distances count gaps in millimetres.

    Args:
        shown: `(n, H, W)` bool, of the foreground slices in ascending z.
        hidden: `(m, H, W)` bool, of all other slices.
        hidden_z: Their m positions in the scan; the foreground has the other ones.

    Returns:
        `(n + m, H, W)` bool.

    Raises:
        ValueError: The positions are not m different ones of the scan.
    """
    n_slices = len(shown) + len(hidden)
    is_hidden = np.isin(np.arange(n_slices), hidden_z)
    if len(hidden_z) != len(hidden) or is_hidden.sum() != len(hidden):
        raise ValueError(
            f"{len(hidden)} slices without foreground have positions {list(hidden_z)}, expected"
            f" {len(hidden)} different ones of 0..{n_slices - 1}"
        )
    scan = np.empty((n_slices, *shown.shape[1:]), dtype=bool)
    scan[list(hidden_z)] = hidden
    scan[~is_hidden] = shown
    return scan
