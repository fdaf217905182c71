"""A mask that goes through preprocessing and back is the same mask, on the same grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sweeper.data.preprocessing import PROFILES, prepare_mask
from sweeper.data.restore import restore_mask


def ellipsoid(shape, part=0.3):
    axes = [(np.arange(n) - (n - 1) / 2) / (n * part) for n in shape]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return (z**2 + y**2 + x**2 < 1).astype(np.uint8)


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.mark.parametrize(
    ("profile", "shape", "spacing_mm"),
    [
        ("desam", (6, 384, 384), (3.6, 0.5, 0.5)),
        ("desam", (6, 320, 384), (3.0, 0.6, 0.5)),
        ("desam", (6, 160, 160), (3.0, 1.0, 1.0)),
        ("desam", (1, 384, 384), (1.0, 1.0, 1.0)),
        ("ct", (8, 512, 512), (5.0, 0.7, 0.7)),
        ("mr", (40, 384, 384), (7.7, 1.0, 1.0)),
        ("mr", (40, 320, 260), (7.7, 1.2, 1.2)),
    ],
)
def test_a_mask_there_and_back_agrees_with_itself(profile, shape, spacing_mm):
    settings, mask = PROFILES[profile], ellipsoid(shape)
    z = range(max(1, round(shape[0] * spacing_mm[0] / (settings.resample_mm or spacing_mm)[0])))
    stored = prepare_mask(mask, spacing_mm, settings, tuple(z)).astype(bool)
    back = restore_mask(stored, shape, spacing_mm, settings)
    assert back.shape == shape
    assert dice(mask, back) >= 0.97


def test_other_slice_distances_come_back_too():
    settings = replace(PROFILES["mr"], resample_mm=(4.0, 1.25, 1.25))
    mask = ellipsoid((31, 300, 280))
    stored = prepare_mask(mask, (2.0, 1.0, 1.0), settings, tuple(range(16))).astype(bool)
    assert dice(mask, restore_mask(stored, mask.shape, (2.0, 1.0, 1.0), settings)) > 0.95


def test_what_was_cropped_away_is_background():
    settings = PROFILES["ct"]
    full = np.ones((2, settings.image_size_px, settings.image_size_px), bool)
    back = restore_mask(full, (2, 512, 512), (5.0, 0.7, 0.7), settings)
    assert back[:, 32:480, 32:480].all()
    assert back.sum() == 2 * 448 * 448


def test_a_mask_of_other_slices_is_refused():
    with pytest.raises(ValueError, match="the mask has 3 slices"):
        restore_mask(np.zeros((3, 256, 256), bool), (4, 9, 9), (1, 1, 1), PROFILES["desam"])
