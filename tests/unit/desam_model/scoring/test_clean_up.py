"""Resampling of logits, and the clean-up of small regions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from desam_model.desam.resampling import resample_logits
from desam_model.scoring.clean_up import clean_regions


def canvas(*boxes, size=256):
    mask = np.zeros((size, size), dtype=bool)
    for top, left, height, width in boxes:
        mask[top : top + height, left : left + width] = True
    return mask


ORGAN = (80, 80, 80, 80)


def test_small_islands_go_and_large_ones_stay():
    cleaned = clean_regions(canvas(ORGAN, (10, 10, 31, 32), (200, 200, 40, 40)), 1000)
    assert np.array_equal(cleaned, canvas(ORGAN, (200, 200, 40, 40)))


def test_an_island_of_exactly_the_area_stays():
    mask = canvas(ORGAN, (10, 10, 25, 40))
    assert np.array_equal(clean_regions(mask, 1000), mask)


def test_small_holes_are_filled_and_large_ones_stay():
    mask = canvas((50, 50, 150, 150))
    mask[60:90, 60:90] = False
    mask[100:140, 100:140] = False
    expected = canvas((50, 50, 150, 150))
    expected[100:140, 100:140] = False
    assert np.array_equal(clean_regions(mask, 1000), expected)


def test_a_single_small_organ_survives():
    mask = canvas((100, 100, 10, 10), (50, 50, 5, 5))
    assert np.array_equal(clean_regions(mask, 1000), canvas((100, 100, 10, 10)))


def test_an_empty_mask_stays_empty():
    assert not clean_regions(canvas(), 1000).any()


def test_regions_that_touch_at_a_corner_are_one():
    mask = canvas((100, 100, 25, 25), (125, 125, 25, 25))
    assert np.array_equal(clean_regions(mask, 1000), mask)


def test_the_area_scales_with_the_image():
    mask = canvas((20, 20, 40, 40), (2, 2, 15, 15), size=128)
    assert clean_regions(mask, 1000).sum() == 1600
    assert clean_regions(mask, 800).sum() == 1825


def test_zero_switches_the_clean_up_off():
    mask = canvas(ORGAN, (10, 10, 1, 1))
    assert np.array_equal(clean_regions(mask, 0), mask)


@pytest.mark.parametrize(
    ("low", "frame", "image"), [(256, 1024, 256), (64, 256, 256), (32, 128, 40)]
)
def test_resampling_is_bilinear_by_way_of_the_frame(low, frame, image):
    logits = torch.randn(2, 1, low, low, generator=torch.Generator().manual_seed(0))
    expected = logits
    for side in (frame, image):
        expected = functional.interpolate(
            expected, size=(side, side), mode="bilinear", align_corners=False
        )
    ours = resample_logits(logits, (frame, frame), (image, image))
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


def test_resampling_knows_rows_from_columns():
    logits = torch.randn(1, 1, 8, 12, generator=torch.Generator().manual_seed(0))
    expected = functional.interpolate(logits, size=(16, 36), mode="bilinear", align_corners=False)
    torch.testing.assert_close(resample_logits(logits, (8, 12), (16, 36)), expected)


def test_gradients_pass_through_the_resampling_also_after_inference():
    with torch.inference_mode():
        resample_logits(torch.zeros(1, 1, 7, 7), (28, 28), (28, 28))
    logits = torch.randn(1, 1, 7, 7, requires_grad=True)
    resample_logits(logits, (28, 28), (28, 28)).sum().backward()
    assert logits.grad.sum().item() == pytest.approx(28 * 28, rel=1e-4)
