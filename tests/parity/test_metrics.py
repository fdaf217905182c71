"""Our metrics against medpy (same definition) and surface-distance (surface elements)."""

from __future__ import annotations

import numpy as np
import pytest
import surface_distance
from medpy.metric import binary

from desam_model.scoring.metrics import asd, dice, hd95

# medpy and surface-distance still call scipy and numpy by names that are going away
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SPACINGS = [(1.0, 1.0, 1.0), (3.0, 0.625, 0.625), (1.5, 0.4, 0.7)]


def blob(generator, shape=(9, 40, 44)):
    """A deformed ellipsoid, sometimes with holes and islands."""
    z, y, x = np.indices(shape)
    centre = np.array(shape) / 2 + generator.uniform(-2, 2, 3)
    radii = np.array([3.5, 12.0, 10.0]) * generator.uniform(0.7, 1.1, 3)
    wave = 1 + 0.15 * np.sin(generator.uniform(1, 4) * np.arctan2(y - centre[1], x - centre[2]))
    distance = (
        ((z - centre[0]) / radii[0]) ** 2
        + ((y - centre[1]) / radii[1]) ** 2
        + ((x - centre[2]) / radii[2]) ** 2
    )
    mask = distance < wave**2
    if generator.random() < 0.5:
        mask ^= generator.random(shape) < 0.002
    return mask


@pytest.mark.parametrize("spacing_mm", SPACINGS)
@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_medpy(seed, spacing_mm):
    generator = np.random.default_rng(seed)
    one, other = blob(generator), blob(generator)
    assert dice(one, other, spacing_mm) == pytest.approx(binary.dc(one, other), rel=1e-12)
    assert hd95(one, other, spacing_mm) == pytest.approx(
        binary.hd95(one, other, spacing_mm), rel=1e-9
    )
    assert asd(one, other, spacing_mm) == pytest.approx(
        binary.assd(one, other, spacing_mm), rel=1e-9
    )


@pytest.mark.parametrize("spacing_mm", SPACINGS)
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_surface_distance_within_a_voxel(seed, spacing_mm):
    """It weighs surface elements and takes the larger direction, so it agrees only nearly."""
    generator = np.random.default_rng(100 + seed)
    one, other = blob(generator), blob(generator)
    theirs = surface_distance.compute_surface_distances(one, other, spacing_mm)
    their_hd95 = surface_distance.compute_robust_hausdorff(theirs, 95)
    means = surface_distance.compute_average_surface_distance(theirs)
    assert abs(hd95(one, other, spacing_mm) - their_hd95) <= max(spacing_mm)
    assert abs(asd(one, other, spacing_mm) - np.mean(means)) <= 0.5 * max(spacing_mm)
    assert dice(one, other, spacing_mm) == pytest.approx(
        surface_distance.compute_dice_coefficient(one, other)
    )
