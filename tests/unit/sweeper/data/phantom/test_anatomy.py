"""Drawn anatomies are reproducible, human-sized and off-centre; the canvas measures distances."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from sweeper.data.phantom.anatomy import Canvas, draw_anatomy

PIXEL_MM = 0.5


@pytest.fixture
def canvas() -> Canvas:
    side = (np.arange(160, dtype=np.float32) - 79.5) * PIXEL_MM
    y, x = np.meshgrid(side, side, indexing="ij")
    return Canvas(x, y, PIXEL_MM, {"muscle": 0.2, "fat": 0.8})


def test_equal_generators_draw_the_same_patient_and_others_another() -> None:
    first, again, other = (draw_anatomy(np.random.default_rng(seed)) for seed in (1, 1, 2))
    for field in fields(first):
        assert np.array_equal(getattr(first, field.name), getattr(again, field.name))
    assert first.gland_half_mm != other.gland_half_mm
    assert first.texture_seed != other.texture_seed


def test_glands_are_human_sized_and_off_centre() -> None:
    patients = [draw_anatomy(np.random.default_rng(seed)) for seed in range(40)]
    volumes_ml = [4 / 3 * np.pi * np.prod(p.gland_half_mm) / 1000 for p in patients]
    assert min(volumes_ml) > 8
    assert max(volumes_ml) < 120
    distances = [np.hypot(*p.gland_centre_mm) for p in patients]
    assert np.median(distances) > 3
    assert max(distances) < 30


def test_the_cover_of_an_ellipse_has_its_area(canvas: Canvas) -> None:
    cover = canvas.cover(canvas.ellipse((3, -2), (20, 10)))
    area_mm2 = float(cover.sum()) * PIXEL_MM**2
    assert area_mm2 == pytest.approx(np.pi * 20 * 10, rel=0.02)
    assert (cover.min(), cover.max()) == (0, 1)


def test_rotating_an_ellipse_by_a_right_angle_swaps_its_axes(canvas: Canvas) -> None:
    turned = canvas.ellipse((0, 0), (20, 10), angle=np.pi / 2)
    assert np.allclose(turned, canvas.ellipse((0, 0), (10, 20)), atol=1e-3)


def test_a_capsule_is_a_segment_with_a_radius(canvas: Canvas) -> None:
    distance = canvas.capsule((-10, 0), (10, 0), 4)
    expected = np.hypot(np.maximum(np.abs(canvas.x) - 10, 0), canvas.y) - 4
    assert np.allclose(distance, expected, atol=1e-4)


def test_a_scaled_canvas_paints_larger_shapes_on_the_same_image(canvas: Canvas) -> None:
    large = canvas.scaled((2, 1))
    cover = large.cover(large.ellipse((0, 0), (10, 10)))
    assert float(cover.sum()) * PIXEL_MM**2 == pytest.approx(np.pi * 20 * 10, rel=0.02)
    large.paint(cover, "fat")
    assert canvas.image[80, 80] == pytest.approx(0.8)


def test_paint_covers_what_was_painted_before(canvas: Canvas) -> None:
    everything = np.ones_like(canvas.x)
    canvas.paint(everything, "muscle")
    canvas.paint(0.5 * everything, "fat", shade=0.1)
    assert np.allclose(canvas.image, 0.5 * 0.2 + 0.5 * 0.9)
