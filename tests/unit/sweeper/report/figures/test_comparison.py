"""The figure of a comparison: its panels show what they say."""

from __future__ import annotations

import numpy as np
import pytest

from sweeper.report.figures.comparison import ShownModel, ShownPrompts, comparison_figure

PX = 40


def disc(y: float, x: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:PX, :PX]
    return np.hypot(rows - y, columns - x) < radius


def grid(side: int) -> np.ndarray:
    steps = (2 * np.arange(side) + 1) / (2 * side) * PX
    return np.array([(x, y) for y in steps for x in steps])


RATED = ShownPrompts(
    points_xy=grid(3), predicted_iou=np.linspace(0.1, 0.9, 9), chosen=8, threshold=0.5
)
REJECTED = ShownPrompts(
    points_xy=grid(3), predicted_iou=np.linspace(0.0, 0.4, 9), chosen=8, threshold=0.5
)


def model(mask: np.ndarray, prompts: ShownPrompts | None) -> ShownModel:
    return ShownModel(name="desam full A-ISBI seed 0", mask=mask, numbers=("Dice 80.0",),
                      prompts=prompts)  # fmt: skip


def texts(figure) -> str:
    return "\n".join(text.get_text() for axes in figure.axes for text in axes.texts)


def test_three_lines_of_panels_and_the_texts_that_explain_them():
    image = np.full((PX, PX), 90, dtype=np.uint8)
    reference = disc(20, 20, 8)
    models = [
        model(disc(20, 22, 8), RATED),
        model(np.zeros_like(reference), REJECTED),
        model(disc(20, 20, 9), ShownPrompts(points_xy=np.empty((0, 2)), box_xyxy=(0, 0, PX, PX))),
        model(disc(18, 20, 8), None),
    ]
    figure = comparison_figure(image, reference, models, "case, slice 3")
    assert len(figure.axes) == 3 * 5 + 1  # and the colours of the predicted IoU
    shown = texts(figure)
    for words in (
        "best 0.90", "best 0.40: mask rejected, not above 0.5", "box prompt", "no prompt to show",
        "reference", "in some masks only",
    ):  # fmt: skip
        assert words in shown
    assert figure.get_size_inches()[0] == pytest.approx(17.4 / 2.54)


def test_differences_are_filled_where_mask_and_reference_differ():
    image, reference = np.zeros((PX, PX), dtype=np.uint8), disc(20, 20, 8)
    mask = disc(20, 24, 8)
    figure = comparison_figure(image, reference, [model(mask, RATED)], "case")
    too_much, missed = (layer.get_array()[..., 3] > 0 for layer in figure.axes[3].images[1:])
    assert np.array_equal(too_much, mask & ~reference)
    assert np.array_equal(missed, reference & ~mask)


def test_the_map_covers_the_slice_with_each_point_inside_its_own_square():
    image, reference = np.zeros((PX, PX), dtype=np.uint8), disc(20, 20, 8)
    figure = comparison_figure(image, reference, [model(reference, RATED)], "case")
    _, ious = figure.axes[5].images
    assert ious.get_extent() == [-0.5, PX - 0.5, PX - 0.5, -0.5]
    assert np.array_equal(ious.get_array().ravel(), RATED.predicted_iou)
    star = figure.axes[5].lines[-1]
    assert star.get_xydata()[0].tolist() == pytest.approx([PX * 5 / 6 - 0.5] * 2)
