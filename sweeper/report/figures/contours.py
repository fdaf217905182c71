"""Draws the outlines of masks on a grey image, pixel by pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

REFERENCE_RGB = (86, 180, 233)
PREDICTION_RGB = (230, 159, 0)
"""Blue and orange of Okabe and Ito's palette, which colour-blind readers tell apart."""

Layer = tuple["NDArray[np.bool_]", tuple[int, int, int]]
"""A mask `(H, W)` and its colour."""


def paint(
    grey: NDArray[np.uint8], layers: Sequence[Layer], *, zoom: int = 1, thickness: int = 1
) -> NDArray[np.uint8]:
    """An image `(H, W)` with outlines of masks as `(zoom H, zoom W, 3)`; later ones are on top.

    Args:
        grey: The image `(H, W)`.
        layers: Masks with their colours.
        zoom: Pixels of the picture per pixel of the image, along each side.
        thickness: Width of an outline in pixels of the picture, inside the mask.
    """
    enlarged = grey.repeat(zoom, 0).repeat(zoom, 1)
    picture = np.stack([enlarged] * 3, axis=-1)
    for mask, colour in layers:
        inside = mask.repeat(zoom, 0).repeat(zoom, 1)
        for _ in range(thickness):
            edge = outline(inside)
            picture[edge] = colour
            inside = inside & ~edge
    return picture


def outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels of a mask `(H, W)` with a 4-neighbour outside the mask."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


def unpack(packed: NDArray[np.uint8], width: int) -> NDArray[np.bool_]:
    """The mask `(H, W)` whose bits are packed along the rows."""
    return np.unpackbits(packed, axis=-1, count=width).astype(bool)
