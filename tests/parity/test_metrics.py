"""Our metrics against medpy and MONAI (same definitions) and surface-distance (elements)."""

from __future__ import annotations

import numpy as np
import pytest
import surface_distance
import torch
from medpy.metric import binary

from desam_model.scoring.metrics import asd, asd_monai, dice, hd95, hd95_monai

# all three still call scipy, numpy or themselves by names that are going away
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

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
def test_agrees_with_monai_under_its_definitions(seed, spacing_mm):
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    generator = np.random.default_rng(200 + seed)
    one, other = blob(generator), blob(generator) | blob(generator)
    masks = [torch.from_numpy(mask)[None, None].float() for mask in (one, other)]
    options = {"include_background": True, "spacing": spacing_mm}
    theirs = compute_hausdorff_distance(*masks, percentile=95, **options).item()
    assert hd95_monai(one, other, spacing_mm) == pytest.approx(theirs, rel=1e-5)
    assert hd95(one, other, spacing_mm) <= hd95_monai(one, other, spacing_mm)
    directed = compute_average_surface_distance(*masks, **options).item()
    assert asd_monai(one, other, spacing_mm) == pytest.approx(directed, rel=1e-5)
    symmetric = compute_average_surface_distance(*masks, symmetric=True, **options).item()
    assert asd(one, other, spacing_mm) == pytest.approx(symmetric, rel=1e-5)


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
