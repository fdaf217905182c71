"""One slice of a case as several models segment it: masks, differences, prompts."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from sweeper.report.figures import WIDTH_CM
from sweeper.report.figures.contours import PREDICTION_RGB, REFERENCE_RGB
from sweeper.report.figures.plots import at_print_size, inches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from numpy.typing import NDArray

Colour = tuple[float, float, float]


def _unit(rgb: tuple[int, int, int]) -> Colour:
    red, green, blue = (channel / 255 for channel in rgb)
    return red, green, blue


_BLUE, _ORANGE = _unit(REFERENCE_RGB), _unit(PREDICTION_RGB)
_TITLE_CM, _LINE_CM, _BOTTOM_CM, _SIDE_CM, _WIDEST_CM = 1.0, 0.32, 1.7, 0.4, 5.5
_LETTERS_PER_CM = 7.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPrompts:
    """The prompts of a slice.

    Attributes:
        points_xy: `(P, 2)` as (x, y), px of the slice; empty with a box.
        predicted_iou: `(P,)`; None if the points are not rated.
        chosen: Index of the point that gave the mask; None if all did.
        box_xyxy: (x0, y0, x1, y1), px of the slice; None with points.
        threshold: A mask whose predicted IoU is not greater is rejected.
    """

    points_xy: NDArray[np.float64]
    predicted_iou: NDArray[np.float64] | None = None
    chosen: int | None = None
    box_xyxy: tuple[float, float, float, float] | None = None
    threshold: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownModel:
    """A model's part of the figure.

    Attributes:
        name: Its name.
        mask: `(H, W)` bool.
        numbers: Lines below the name, such as the Dice of the case.
        prompts: None for a method without prompts, and for an ensemble.
    """

    name: str
    mask: NDArray[np.bool_]
    numbers: tuple[str, ...]
    prompts: ShownPrompts | None


@at_print_size
def comparison_figure(
    image: NDArray[np.uint8],
    reference: NDArray[np.bool_],
    models: Sequence[ShownModel],
    title: str,
    *,
    width_cm: float = WIDTH_CM,
) -> Figure:
    """One column per model: its mask, where it differs from the reference, its prompts.

    The first column has the image, the reference, and how many models mark each pixel.

    Args:
        image: `(H, W)` uint8.
        reference: `(H, W)` bool.
        models: At least one.
        title: What is shown.
        width_cm: Most width on paper; texts have 7 to 8 pt.
    """
    columns = 1 + len(models)
    panel_cm = min((width_cm - _SIDE_CM) / columns, _WIDEST_CM)
    width_cm = _SIDE_CM + columns * panel_cm
    letters = max(12, int(_LETTERS_PER_CM * panel_cm))
    heads = [[*wrap(model.name, letters), *model.numbers] for model in models]
    top_cm = _TITLE_CM + _LINE_CM * max(map(len, heads))
    height_cm = 3 * panel_cm * image.shape[0] / image.shape[1] + top_cm + _BOTTOM_CM
    figure = Figure(figsize=(inches(width_cm), inches(height_cm)))
    # below the note on synthetic data
    figure.suptitle(title, x=0.5, y=1 - 0.45 / height_cm, va="top")
    grid = figure.add_gridspec(
        3, columns, left=0.5 * _SIDE_CM / width_cm, right=1 - 0.5 * _SIDE_CM / width_cm,
        top=1 - top_cm / height_cm, bottom=_BOTTOM_CM / height_cm, wspace=0.02, hspace=0.02,
    )  # fmt: skip
    panels = [[_panel(figure, grid[line, column], image) for column in range(columns)]
              for line in range(3)]  # fmt: skip
    panels[0][0].set_title("image", fontsize=7)
    _outline(panels[1][0], reference, _BLUE)
    _words(panels[1][0], "reference")
    _agreement(panels[2][0], [model.mask for model in models])
    rated = [p.predicted_iou for m in models if (p := m.prompts) and p.predicted_iou is not None]
    limits = (min(map(np.nanmin, rated)), max(map(np.nanmax, rated))) if rated else (0.0, 1.0)
    colours = None
    for column, model in enumerate(models, start=1):
        panels[0][column].set_title("\n".join(heads[column - 1]), fontsize=7)
        _outline(panels[0][column], reference, _BLUE)
        _outline(panels[0][column], model.mask, _ORANGE)
        _fill(panels[1][column], model.mask & ~reference, _ORANGE)
        _fill(panels[1][column], reference & ~model.mask, _BLUE)
        drawn = _prompts(panels[2][column], model.prompts, image.shape, limits)
        colours = colours or drawn
    _legend(figure, colours, height_cm)
    return figure


def _panel(figure: Figure, place: Any, image: NDArray[np.uint8]) -> Axes:
    axes = figure.add_subplot(place)
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_axis_off()
    return axes


def _outline(axes: Axes, mask: NDArray[np.bool_], colour: Colour) -> None:
    if mask.any():
        axes.contour(mask, levels=[0.5], colors=[colour], linewidths=0.8)


def _fill(axes: Axes, mask: NDArray[np.bool_], colour: Colour) -> None:
    layer = np.zeros((*mask.shape, 4))
    layer[mask] = [*colour, 0.75]
    axes.imshow(layer, interpolation="nearest")


def _words(axes: Axes, text: str) -> None:
    axes.text(
        0.03, 0.03, text, transform=axes.transAxes, ha="left", va="bottom", color="white",
        fontsize=7, bbox={"facecolor": "black", "edgecolor": "none", "alpha": 0.6, "pad": 1.0},
    )  # fmt: skip


def _agreement(axes: Axes, masks: Sequence[NDArray[np.bool_]]) -> None:
    """Pixels that some of the models mark and others do not; the more, the more opaque."""
    marked = np.sum(masks, axis=0)
    if len(masks) < 2:
        axes.set_visible(False)
        return
    some = (marked > 0) & (marked < len(masks))
    layer = np.zeros((*marked.shape, 4))
    layer[some, :3] = _ORANGE
    layer[some, 3] = 0.35 + 0.5 * marked[some] / len(masks)
    axes.imshow(layer, interpolation="nearest")
    _words(axes, f"in some masks only: {int(some.sum())} px")


def _prompts(
    axes: Axes, prompts: ShownPrompts | None, shape: tuple[int, ...], limits: tuple[float, float]
) -> ScalarMappable | None:
    """The prompts on the image; returns the colours of the predicted IoUs, if there are any."""
    if prompts is None:
        _words(axes, "no prompt to show")
        return None
    if prompts.box_xyxy is not None:
        x0, y0, x1, y1 = prompts.box_xyxy
        axes.plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], color=_ORANGE, lw=1.5)
        _words(axes, "box prompt")
        return None
    colours = None
    if prompts.predicted_iou is not None:
        side = round(len(prompts.points_xy) ** 0.5)
        colours = axes.imshow(
            prompts.predicted_iou.reshape(side, side), cmap="cividis", alpha=0.7,
            vmin=limits[0], vmax=limits[1], interpolation="nearest",
            extent=(-0.5, shape[1] - 0.5, shape[0] - 0.5, -0.5),
        )  # fmt: skip
    axes.plot(*(prompts.points_xy - 0.5).T, ".", color="white", ms=1.5)
    if prompts.chosen is None or prompts.predicted_iou is None:
        _words(axes, "all points, not rated")
        return colours
    axes.plot(*(prompts.points_xy[prompts.chosen] - 0.5), "*", color=_ORANGE, ms=8, mec="black")
    best = float(prompts.predicted_iou[prompts.chosen])
    is_accepted = best > prompts.threshold
    _words(axes, f"best {best:.2f}" if is_accepted else
           f"best {best:.2f}: mask rejected, not above {prompts.threshold:g}")  # fmt: skip
    return colours


def _legend(figure: Figure, colours: ScalarMappable | None, height_cm: float) -> None:
    """What colours mean, below the panels."""
    handles = [
        Line2D([], [], color=_BLUE, label="reference"),
        Line2D([], [], color=_ORANGE, label="prediction"),
        Patch(color=_BLUE, label="missed"),
        Patch(color=_ORANGE, label="too much"),
    ]
    if colours is not None:
        handles.append(
            Line2D([], [], color=_ORANGE, marker="*", ls="", mec="black", label="chosen prompt")
        )
        place = figure.add_axes((0.3, 1.0 / height_cm, 0.4, 0.18 / height_cm))
        figure.colorbar(colours, cax=place, orientation="horizontal", label="")
        place.tick_params(labelsize=7, pad=1)
        place.set_title("predicted IoU of each prompt", fontsize=7, pad=2)
    figure.legend(
        handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=7,
        bbox_to_anchor=(0.5, 0.0), borderpad=0.1,
    )  # fmt: skip
