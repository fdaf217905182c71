"""Slices as DeSAM's release makes them; the erosion of its labels reproduced on request."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from skimage.transform import resize

from sweeper.data.preprocessing import (
    PROFILES,
    intensity_range,
    prepare_slices,
    resize_label,
    to_8bit,
)

DESAM = PROFILES["desam"]


def disc(size: int) -> np.ndarray:
    rows, cols = np.mgrid[:size, :size] - (size - 1) / 2
    return (np.hypot(rows, cols) < size / 6).astype(np.uint8)


def volume(shape=(5, 40, 48)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    image = rng.normal(400, 120, shape).astype(np.float32)[None]
    label = np.zeros(shape, np.uint8)
    label[1:4, 12:28, 14:30] = 1
    return image, label


def test_a_volume_is_clipped_scaled_and_truncated_as_released():
    image, _ = volume()
    image[0, 0, 0, :5] = 0
    low, high = np.percentile(image, 0.5), np.percentile(image, 99.5)
    expected = np.clip(image, low, high)
    expected = (expected - expected.min()) / (expected.max() - expected.min()) * 255.0
    expected[image == 0] = 0
    got = to_8bit(image, DESAM)
    assert np.array_equal(got, expected.astype(np.uint8))
    assert (got[0, 0, 0, :5] == 0).all()
    assert got.max() == 255


@pytest.mark.parametrize("kind", ["uint8", "int16", "uint16", "float32", "float64"])
def test_the_range_is_that_of_numpys_percentiles_whatever_the_number_type(kind):
    values = np.random.default_rng(4).gamma(2.0, 60.0, (1, 3, 17, 19)).clip(0, 255).astype(kind)
    expected = np.percentile(values.astype(np.float64), DESAM.percentiles)
    assert intensity_range(values, DESAM) == tuple(expected)
    window = replace(DESAM, window=(-50.0, 100.0))
    assert intensity_range(values, window) == (values.min(), 100.0)


def test_slices_are_resized_as_released():
    image, label = volume()
    slices = prepare_slices(image, label, (3.0, 0.5, 0.5), DESAM)
    plane = to_8bit(image, DESAM)[0, 2]
    expected = resize(
        plane, (256, 256), order=3, preserve_range=True, mode="constant", anti_aliasing=True
    )
    assert np.abs(slices.image[2, 0].astype(int) - expected.astype(np.uint8)).max() <= 1
    assert slices.image.shape == (5, 1, 256, 256)


def test_every_slice_is_kept_also_those_without_a_label():
    image, label = volume()
    label[2] = 0
    slices = prepare_slices(image, label, (3.0, 0.5, 0.5), DESAM)
    assert slices.z == (0, 1, 2, 3, 4)
    assert slices.label.any(axis=(1, 2)).tolist() == [False, True, False, True, False]
    assert slices.image[2].any()


def test_spacing_after_resizing_keeps_millimetres_right():
    image, label = volume()
    slices = prepare_slices(image, label, (3.0, 0.5, 0.6), DESAM)
    assert slices.spacing_mm == pytest.approx((3.0, 0.5 * 40 / 256, 0.6 * 48 / 256))
    before = label.sum() * 3.0 * 0.5 * 0.6
    after = (slices.label > 0).sum() * np.prod(slices.spacing_mm)
    assert after == pytest.approx(before, rel=0.02)


@pytest.mark.parametrize(
    ("size", "ratio"), [(256, 1.0), (288, 1.0), (320, 0.956), (384, 0.960), (418, 0.964)]
)
def test_released_label_resize_erodes_large_matrices_as_measured(size, ratio):
    # sources.md S13: area after / true area, of a disc of radius size / 6
    mask = disc(size)
    true_area = mask.sum() * (256 / size) ** 2
    assert resize_label(mask, 256, "released").sum() / true_area == pytest.approx(ratio, abs=0.006)
    assert resize_label(mask, 256, "nearest").sum() / true_area == pytest.approx(1.0, abs=0.01)


def test_a_label_map_keeps_its_structures_apart():
    plane = np.zeros((32, 32), np.uint8)
    plane[4:12, 4:12], plane[20:28, 20:28] = 1, 3
    for how in ("nearest", "released", "linear"):
        out = resize_label(plane, 64, how)
        assert set(np.unique(out)) == {0, 1, 3}
        assert (out[8:24, 8:24] == 1).mean() > 0.9


def test_ct_is_windowed_in_hounsfield_units_and_its_border_cut():
    image = np.full((1, 2, 64, 64), -1000.0)
    image[0, :, 8:56, 8:56] = 75.0
    label = np.zeros((2, 64, 64), np.uint8)
    label[:, 30:34, 30:34] = 1
    slices = prepare_slices(image, label, (5.0, 2.0, 2.0), PROFILES["ct"])
    assert slices.image.shape == (2, 1, 192, 192)
    middle = slices.image[0, 0, 96, 96]
    assert abs(int(middle) - int((75 + 125) / (75 + 125) * 255)) <= 1
    assert slices.spacing_mm == pytest.approx((5.0, 2.0 * 56 / 192, 2.0 * 56 / 192))


def test_mr_is_resampled_and_padded_to_its_field_of_view():
    rng = np.random.default_rng(1)
    image = rng.uniform(1, 9, (1, 4, 50, 50))
    label = np.zeros((4, 50, 50), np.uint8)
    rows, cols = np.mgrid[:50, :50] - 24.3
    label[1:3, np.hypot(rows, cols) < 12] = 4
    slices = prepare_slices(image, label, (7.7, 2.5, 2.5), PROFILES["mr"])
    assert slices.spacing_mm == pytest.approx((7.7, 1.25 * 256 / 192, 1.25 * 256 / 192))
    area_mm2 = (slices.label[1] == 4).sum() * slices.spacing_mm[1] ** 2
    assert area_mm2 == pytest.approx(np.pi * (12 * 2.5) ** 2, rel=0.03)
    assert (slices.image[0, 0, :20] == 0).all()  # padding is the minimum


def test_colour_images_keep_three_channels():
    image, label = volume()
    colour = np.concatenate([image, image * 0.5, image + 9])
    slices = prepare_slices(colour, label, (3.0, 0.5, 0.5), replace(DESAM, image_size_px=32))
    assert slices.image.shape == (5, 3, 32, 32)
