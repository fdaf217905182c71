"""IPA's blend map against the public code of CSDG: near to it, and as declared not equal.

The numbers were written down from a run of the public steps, retyped elsewhere, in
float64 (`AdvBias` of
`cheng-01037/Causality-Medical-Image-Domain-Generalization`, 290e1ac,
`biasfield_interpolate_cchen/adv_bias.py`, at the script's settings: 192 px, spacing 24, downscale
2, order 2, epsilon 0.3; then rescaled to [0, 1]) with the control points below.
"""

from __future__ import annotations

import pytest
import torch

from desam_model.comparisons.csdg import CSDG
from desam_model.comparisons.image.harness import unified_harness

POSITIONS = (1, 38, 75, 112, 149, 186)

PUBLIC = [
    [0.526050, 0.798784, 0.591785, 0.205602, 0.259030, 0.602717],
    [0.106101, 0.407554, 0.881777, 0.702833, 0.216440, 0.124531],
    [0.613220, 0.101038, 0.123921, 0.739728, 0.936699, 0.498662],
    [0.781321, 0.893844, 0.364490, 0.038522, 0.388598, 0.860346],
    [0.194850, 0.537465, 0.844255, 0.551371, 0.188630, 0.236498],
    [0.276915, 0.150812, 0.518701, 0.849870, 0.587953, 0.213739],
]
"""The map at these rows and columns."""


@pytest.fixture
def blend(monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    """Our map `(192, 192)` of control points that are sines, which the method scales to norm 1."""
    sines = (1.7 * torch.arange(36.0) + 0.5).sin().reshape(1, 1, 6, 6)

    def control(shape: tuple[int, ...], *_: object) -> torch.Tensor:
        assert shape == sines.shape
        return sines

    monkeypatch.setattr("desam_model.comparisons.csdg.draw_normal", control)
    method = CSDG(harness=unified_harness(image_channels=1, width=1, stages=2))
    return method.blend_map(torch.zeros(1, 1, 192, 192), torch.Generator())[0, 0]


def difference(blend: torch.Tensor, shift: int = 0) -> torch.Tensor:
    at = torch.tensor(POSITIONS) + shift
    return (blend[at][:, at] - torch.tensor(PUBLIC)).abs()


def test_the_map_is_that_of_the_public_code_up_to_its_declared_sampling(
    blend: torch.Tensor,
) -> None:
    assert difference(blend).max() < 0.04
    assert difference(blend).mean() < 0.01


def test_the_declared_difference_is_about_a_pixels_shift(blend: torch.Tensor) -> None:
    """The public map lies half a pixel of the small image, one of the large, further down right.

    It is scaled by 97 / 96 too, so no shift gives it exactly: the middle fits best one pixel back.
    """
    middle = slice(2, 4), slice(2, 4)
    errors = {shift: difference(blend, shift)[middle].mean().item() for shift in (-2, -1, 0, 1)}
    assert min(errors, key=errors.__getitem__) == -1
    assert errors[-1] < 0.5 * errors[0]
