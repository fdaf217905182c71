"""Functions of the scoring protocols: they select the slices and pixels to be scored."""

from __future__ import annotations

import numpy as np

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
