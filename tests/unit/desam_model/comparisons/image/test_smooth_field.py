from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline

from desam_model.comparisons.image.smooth_field import grid_shape, spline_field


@pytest.mark.parametrize(
    ("hw", "spacing", "expected"), [((224, 224), (112, 112), (4, 4)), ((100, 50), (48, 48), (5, 4))]
)
def test_there_is_one_control_point_outside(hw, spacing, expected):
    assert grid_shape(hw, spacing) == expected


@pytest.mark.parametrize("order", [2, 3])
def test_the_field_is_scipys_b_spline(order):
    generator = np.random.default_rng(0)
    n, spacing, width = 7, 8, 20
    control = generator.normal(size=n)
    knots = (np.arange(n + order + 1) - (n + order) / 2) * spacing
    at = np.arange(width) - (width - 1) / 2
    expected = BSpline(knots, control, order)(at)
    field = spline_field(
        torch.as_tensor(control)[None, None, None].repeat(1, 1, n, 1),
        (20, width),
        (spacing, spacing),
        order=order,
    )
    assert np.allclose(field[0, 0, 10], expected, atol=1e-6)


def test_a_coarser_evaluation_is_close_to_the_full_one():
    control = torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    full, coarse = (
        spline_field(control, (128, 128), (64, 64), order=3, downscale=d) for d in (1, 4)
    )
    assert coarse.shape == full.shape
    assert torch.allclose(coarse, full, atol=0.05)


def test_gradients_reach_the_control_points():
    control = torch.zeros(2, 1, 4, 4, requires_grad=True)
    spline_field(control, (32, 32), (16, 16), order=3, downscale=2).sum().backward()
    assert (control.grad != 0).all()
