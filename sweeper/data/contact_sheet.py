"""A contact sheet: images with the outlines of their labels, one row per domain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from desam_model.types import IGNORED_LABEL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

OUTLINES = ("#39ff14", "#ff3b30", "#30a0ff", "#ffd60a", "#ff66ff", "#00e5ff")
"""One colour per structure, bright on grey."""

TILE_PX = 112
"""Side length of a picture on the sheet; a sheet of six sites is below 600 kB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One picture of the sheet.

    Attributes:
        image: `(C, H, W)` uint8.
        label: `(H, W)` uint8, 0 background, 1.. structures.
        caption: Short text below it.
    """

    image: NDArray[np.uint8]
    label: NDArray[np.uint8]
    caption: str


def write_contact_sheet(
    path: Path, rows: Sequence[tuple[str, Sequence[Tile]]], *, title: str
) -> None:
    """Write the rows (name, tiles) as a PNG.

    Args:
        path: Path of the PNG.
        rows: At least one, each with at least one tile.
        title: Title above all rows.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = max(len(tiles) for _, tiles in rows)
    dpi = 100
    tile_inch = TILE_PX / dpi
    margin, head = 0.32, 0.34
    width, height = margin + columns * tile_inch, head + len(rows) * tile_inch
    figure = Figure(figsize=(width, height), dpi=dpi, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(0.5, 1 - head / 2 / height, title, ha="center", va="center", fontsize=8)
    for r, (name, tiles) in enumerate(rows):
        top = height - head - r * tile_inch
        figure.text(
            margin / 2 / width,
            (top - tile_inch / 2) / height,
            name,
            rotation=90,
            ha="center",
            va="center",
            fontsize=8,
        )
        for c, picture in enumerate(tiles):
            corner = ((margin + c * tile_inch) / width, (top - tile_inch) / height)
            size = (0.98 * tile_inch / width, 0.98 * tile_inch / height)
            axes = figure.add_axes((*corner, *size))
            axes.set_axis_off()
            _draw(axes, picture)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})


def _draw(axes: object, tile: Tile) -> None:
    from matplotlib.axes import Axes
    from matplotlib.patheffects import withStroke

    if not isinstance(axes, Axes):  # for the type checker; a figure returns only Axes
        raise TypeError(f"axes is {type(axes)}")
    if len(tile.image) == 3:
        axes.imshow(tile.image.transpose(1, 2, 0))
    else:
        axes.imshow(tile.image[0], cmap="gray", vmin=0, vmax=255)
    for value in np.unique(tile.label[tile.label > 0]):
        is_ignored = value == IGNORED_LABEL
        colour = "grey" if is_ignored else OUTLINES[(int(value) - 1) % len(OUTLINES)]
        axes.contour(tile.label == value, [0.5], colors=colour, linewidths=0.7)
    shadow = [
        withStroke(linewidth=1.5, foreground="black")
    ]  # readable on bright fat and on dark air
    axes.text(
        0.02,
        0.025,
        tile.caption,
        transform=axes.transAxes,
        color="#ffd60a",
        fontsize=5.5,
        path_effects=shadow,
    )
