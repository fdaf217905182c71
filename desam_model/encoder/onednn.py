"""Convolutions and linear maps by oneDNN on a CPU, with the GELU behind them in the same pass.

Large maps are limited by memory there: a GELU of its own costs as much as the convolution before
it. torch offers the joint operations only to its compiler (`torch.ops.mkldnn`), which would need a
C++ compiler on every machine; where they are missing, the plain ones compute the same up to
rounding.

Source: oneDNN developer guide, "Primitive attributes: post-ops", element-wise `gelu_erf`, which is
torch's default GELU.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_NAMES = ("_convolution_pointwise", "_linear_pointwise")


def convolve(x: Tensor, conv: nn.Conv2d, *, gelu: bool = False) -> Tensor:
    """A convolution with zero padding, and a GELU if asked for: `(B, C, h, w)` to the next map."""
    if not _applies(x):
        out = conv(x)
        return functional.gelu(out) if gelu else out
    padding = [int(side) for side in conv.padding]
    mapped: Tensor = torch.ops.mkldnn._convolution_pointwise(
        x,
        conv.weight,
        conv.bias,
        padding,
        list(conv.stride),
        list(conv.dilation),
        conv.groups,
        *_post_op(gelu),
    )
    return mapped


def linear(x: Tensor, layer: nn.Linear, *, gelu: bool = False) -> Tensor:
    """A linear map of the last axis, and a GELU if asked for: `(..., C)` to `(..., C')`."""
    if not _applies(x):
        out = layer(x)
        return functional.gelu(out) if gelu else out
    mapped: Tensor = torch.ops.mkldnn._linear_pointwise(
        x, layer.weight, layer.bias, *_post_op(gelu)
    )
    return mapped


def _post_op(gelu: bool) -> tuple[str, list[float], str]:
    return ("gelu", [], "none") if gelu else ("none", [], "")


def _applies(x: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and all(hasattr(torch.ops.mkldnn, name) for name in _NAMES)
    )
