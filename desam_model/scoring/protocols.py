"""Scoring protocols: which slices and pixels of a case a score compares."""

from __future__ import annotations

from enum import StrEnum

import numpy as np

EDGE_PX = 50
"""Border of predictions that `desam2024` clears, px of 256 (sources.md S6)."""

_EDGE_FRAME_PX = 256


class ScoringProtocol(StrEnum):
    """How predictions are scored; both are always computed from the same predictions."""

    DESAM2024 = "desam2024"
    STRICT = "strict"


def protocol_view(
    prediction: np.ndarray,
    reference: np.ndarray,
    protocol: ScoringProtocol,
    *,
    drops_last: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """The arrays that a protocol compares.

    `strict` compares what it is given. `desam2024` drops the case's last foreground slice if
    `drops_last`, and clears a border of 50 px in 256 of the prediction (not of the reference).

    Args:
        prediction: `(n, H, W)` bool.
        reference: `(n, H, W)` bool.
        protocol: Which one.
        drops_last: True if the last slice of the arrays is the case's last foreground slice.
    """
    if protocol is ScoringProtocol.STRICT:
        return prediction, reference
    if drops_last:
        prediction, reference = prediction[:-1], reference[:-1]
    height, width = prediction.shape[1:]
    rows = round(EDGE_PX * height / _EDGE_FRAME_PX)
    columns = round(EDGE_PX * width / _EDGE_FRAME_PX)
    cleared = np.zeros_like(prediction)
    inner = np.s_[:, rows : height - rows, columns : width - columns]
    cleared[inner] = prediction[inner]
    return cleared, reference
