"""A painted slice has the gland where its label is, and air around the body."""

from __future__ import annotations

import numpy as np
import pytest

from sweeper.data.phantom.anatomy import (
    PERIPHERAL_ZONE,
    TRANSITION_ZONE,
    Anatomy,
    draw_anatomy,
)
from sweeper.data.phantom.scanner import T2
from sweeper.data.phantom.tissue import paint_slice, rectum_centre

PIXEL_MM = 1.0
SHAPE = (220, 220)


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    return draw_anatomy(np.random.default_rng(3))


def paint(anatomy: Anatomy, z_mm: float, *, has_coil: bool = False, shape=SHAPE):
    return paint_slice(
        anatomy, z_mm, shape=shape, pixel_mm=PIXEL_MM, contrast=T2, has_coil=has_coil
    )


def test_equal_arguments_give_equal_slices(anatomy: Anatomy) -> None:
    (signal, zones), (again, zones_again) = paint(anatomy, 2.0), paint(anatomy, 2.0)
    assert np.array_equal(signal, again)
    assert np.array_equal(zones, zones_again)


def test_the_gland_has_both_zones_in_the_middle_and_none_beyond_its_ends(anatomy: Anatomy) -> None:
    _, zones = paint(anatomy, 0.0)
    assert set(np.unique(zones)) == {0, TRANSITION_ZONE, PERIPHERAL_ZONE}
    for end in (-1, 1):
        assert not paint(anatomy, end * (anatomy.gland_half_mm[2] + 1))[1].any()


def test_the_label_is_about_as_large_and_where_the_anatomy_says(anatomy: Anatomy) -> None:
    _, zones = paint(anatomy, 0.0)
    rows, cols = np.nonzero(zones)
    half_x, half_y, _ = anatomy.gland_half_mm
    area_mm2 = len(rows) * PIXEL_MM**2
    assert area_mm2 == pytest.approx(np.pi * half_x * half_y, rel=0.25)
    centre = [(SHAPE[1] - 1) / 2, (SHAPE[0] - 1) / 2]
    offset_mm = np.array([cols.mean(), rows.mean()]) * PIXEL_MM - centre
    assert np.linalg.norm(offset_mm - anatomy.gland_centre_mm) < 8


def test_the_peripheral_zone_is_brighter_and_posterior(anatomy: Anatomy) -> None:
    signal, zones = paint(anatomy, 0.0)
    peripheral, transition = zones == PERIPHERAL_ZONE, zones == TRANSITION_ZONE
    assert signal[peripheral].mean() > signal[transition].mean() + 0.1
    assert np.nonzero(peripheral)[0].mean() > np.nonzero(transition)[0].mean()


def test_air_around_the_body_has_no_signal_and_none_is_negative(anatomy: Anatomy) -> None:
    signal, _ = paint(anatomy, 0.0, shape=(240, 440))
    assert signal.min() == 0
    corners = signal[np.ix_([0, -1], [0, -1])]
    assert corners.max() == 0
    assert signal[120, 220] > 0


def test_a_coil_fills_the_rectum_and_moves_its_centre(anatomy: Anatomy) -> None:
    without, _ = paint(anatomy, 0.0)
    with_coil, _ = paint(anatomy, 0.0, has_coil=True)
    assert not np.array_equal(without, with_coil)
    x, y = rectum_centre(anatomy, has_coil=True)
    assert x == 0
    assert y > anatomy.gland_half_mm[1]  # posterior to the gland
    assert y - rectum_centre(anatomy, has_coil=False)[1] == pytest.approx(
        19.5 - anatomy.rectum_half_mm[1]
    )
