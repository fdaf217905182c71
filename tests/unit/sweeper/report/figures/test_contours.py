"""Outlines are inside the mask, one pixel wide per step; later layers are on top."""

from __future__ import annotations

import numpy as np

from sweeper.report.figures.contours import PREDICTION_RGB, REFERENCE_RGB, outline, paint, unpack


def square(size: int = 8, start: int = 2, stop: int = 6) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    mask[start:stop, start:stop] = True
    return mask


def coloured(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (picture == colour).all(axis=-1)


def test_the_outline_is_the_mask_without_its_inner_pixels() -> None:
    assert np.array_equal(outline(square()), square() & ~square(start=3, stop=5))
    full = np.ones((4, 4), bool)  # the border of the image is an outline, too
    assert outline(full).sum() == 12
    assert not outline(np.zeros((4, 4), bool)).any()
    single = square(start=3, stop=4)
    assert np.array_equal(outline(single), single)


def test_a_picture_has_the_image_in_grey_and_the_outline_in_colour() -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    picture = paint(grey, [(square(), REFERENCE_RGB)])
    edge = outline(square())
    assert np.array_equal(coloured(picture, REFERENCE_RGB), edge)
    assert (picture[~edge] == grey[~edge][:, None]).all()
    assert np.array_equal(grey, np.arange(64).reshape(8, 8))  # the image itself is unchanged


def test_zoom_enlarges_the_picture_and_thickness_grows_inwards() -> None:
    grey = np.zeros((8, 8), np.uint8)
    picture = paint(grey, [(square(), REFERENCE_RGB)], zoom=3, thickness=2)
    assert picture.shape == (24, 24, 3)
    inside = square().repeat(3, 0).repeat(3, 1)
    centre = np.zeros((24, 24), bool)
    centre[8:16, 8:16] = True  # 12 pixels wide, less two on each side
    assert np.array_equal(coloured(picture, REFERENCE_RGB), inside & ~centre)


def test_later_layers_are_on_top() -> None:
    grey = np.zeros((8, 8), np.uint8)
    picture = paint(grey, [(square(), REFERENCE_RGB), (square(), PREDICTION_RGB)])
    assert np.array_equal(coloured(picture, PREDICTION_RGB), outline(square()))
    assert not coloured(picture, REFERENCE_RGB).any()


def test_packed_masks_are_restored_for_every_width() -> None:
    draw = np.random.default_rng(0)
    for width in (7, 8, 13, 16):
        mask = draw.random((5, width)) < 0.5
        assert np.array_equal(unpack(np.packbits(mask, axis=-1), width), mask)
