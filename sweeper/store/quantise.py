"""int8 with one scale per channel and tap, symmetric, per slice (`engine.md` 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor

_LEVELS = 127.0


def quantise(values: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers -127..127 and the scale of each channel, so that `q * scale` is the value.

    Args:
        values: `(..., C, h, w)` finite floats.

    Returns:
        `(..., C, h, w)` int8 and `(..., C)` float32; a channel of zeros has scale 0.
    """
    values = values.float()
    scale = values.abs().amax(dim=(-2, -1)) / _LEVELS
    safe = torch.where(scale > 0, scale, torch.ones_like(scale))
    whole = (values / safe[..., None, None]).round_().clamp_(-_LEVELS, _LEVELS)
    return whole.to(torch.int8), scale


def dequantise(whole: Tensor, scale: Tensor) -> Tensor:
    """The values `(..., C, h, w)`, float16, of `quantise`'s numbers."""
    return (whole.float() * scale[..., None, None]).half()
