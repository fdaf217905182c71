"""Smooth random fields: uniform B-splines over a coarse grid of control points."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor


def grid_shape(hw: tuple[int, int], spacing_px: tuple[int, int]) -> tuple[int, int]:
    """Number of control points (rows, columns) of a field: its intervals plus two.

    Source: advchain, sources.md S40.
    """
    rows, columns = (math.ceil(side / step) + 2 for side, step in zip(hw, spacing_px, strict=True))
    return rows, columns


def spline_field(
    control: Tensor,
    hw: tuple[int, int],
    spacing_px: tuple[int, int],
    *,
    order: int,
    downscale: int = 1,
) -> Tensor:
    """The field `(B, C, H, W)` of control points `(B, C, rows, columns)`; differentiable.

    The control points are `spacing_px` apart and symmetric about the image centre. Only one row of
    them is outside the image, so constant control points give that constant in the centre and up to
    2.1 % less at the border (cubic), as in advchain (sources.md S40).

    Deviation: the spline basis is evaluated directly, not by convolving box filters. The result is
    the same, but the kernel is not rounded to whole pixels.

    Args:
        control: Values at the control points.
        hw: Rows and columns of the field.
        spacing_px: Distance between control points in px of the field.
        order: Degree of the spline: 2 for quadratic, 3 for cubic.
        downscale: The field is evaluated on an image this many times smaller, then upsampled
            bilinearly.
    """
    coarse = (max(1, hw[0] // downscale), max(1, hw[1] // downscale))
    bases = [
        _basis(n_out, n_points, step / downscale, order).to(control)
        for n_out, n_points, step in zip(coarse, control.shape[-2:], spacing_px, strict=True)
    ]
    field = torch.einsum("yr,bcrk,xk->bcyx", bases[0], control, bases[1])
    if coarse == hw:
        return field
    return functional.interpolate(field, size=hw, mode="bilinear", align_corners=False)


def _basis(n_out: int, n_points: int, spacing: float, order: int) -> Tensor:
    """Weight of each control point at each output position, `(n_out, n_points)`."""
    positions = (torch.arange(n_out, dtype=torch.float64) - (n_out - 1) / 2) / spacing
    points = torch.arange(n_points, dtype=torch.float64) - (n_points - 1) / 2
    return _cardinal_spline(positions[:, None] - points[None, :], order)


def _cardinal_spline(x: Tensor, order: int) -> Tensor:
    """The centred cardinal B-spline of the given degree; its integer shifts sum to one."""
    n = order + 1
    total = torch.zeros_like(x)
    for k in range(n + 1):
        total += (-1) ** k * math.comb(n, k) * (x + n / 2 - k).clamp_min(0) ** order
    return total / math.factorial(order)
