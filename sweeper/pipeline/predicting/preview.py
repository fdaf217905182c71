"""A preview of a prediction: up to nine slices with the outline of the mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sweeper.data.preprocessing import prepare_mask
from sweeper.report.figures.contours import PREDICTION_RGB, REFERENCE_RGB, paint

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from sweeper.predict.scan import Scan

_MOST = 9
_COLUMNS = 3


def write_preview(
    path: Path, scan: Scan, mask: NDArray[np.bool_], reference: NDArray[np.bool_] | None = None
) -> None:
    """Write a PNG: prediction red, reference green, from the lowest slice to the highest.

    The slices are evenly spaced over those with a mask, or over all of the scan without one.

    Args:
        path: The PNG.
        scan: The image.
        mask: `(n, H, W)`, of all prepared slices.
        reference: `(z, y, x)` in the canonical frame, or None.
    """
    from PIL import Image

    Image.fromarray(draw_preview(scan, mask, reference)).save(path)


def draw_preview(
    scan: Scan, mask: NDArray[np.bool_], reference: NDArray[np.bool_] | None = None
) -> NDArray[np.uint8]:
    """The picture of `write_preview`, `(rows H, columns W, 3)` uint8."""
    chosen = _slices(mask)
    drawn: dict[int, NDArray[np.bool_]] = {}
    if reference is not None:
        prepared = prepare_mask(
            reference.astype(np.uint8), scan.volume.spacing_mm, scan.settings, tuple(chosen)
        )
        drawn = dict(zip(chosen, prepared.astype(bool), strict=True))
    tiles = []
    for z in chosen:
        layers = [(drawn[z], REFERENCE_RGB)] if drawn else []
        tiles.append(paint(scan.pixels[z, 0], [*layers, (mask[z], PREDICTION_RGB)]))
    columns = min(_COLUMNS, len(tiles))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles), columns)]
    return np.concatenate(rows)


def _slices(mask: NDArray[np.bool_]) -> list[int]:
    """Positions of the shown slices, ascending."""
    shown = np.flatnonzero(mask.any(axis=(1, 2)))
    if not shown.size:
        shown = np.arange(len(mask))
    picked = shown[np.linspace(0, len(shown) - 1, min(_MOST, len(shown))).round().astype(int)]
    return [int(z) for z in picked]
