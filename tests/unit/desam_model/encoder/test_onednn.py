"""oneDNN's joint operations give what the plain ones give, and are not needed."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from desam_model.encoder import onednn
from desam_model.encoder.onednn import convolve, linear


@pytest.fixture(params=["joint", "plain"], autouse=True)
def operations(request, monkeypatch):
    """torch with the joint operations, and one that has lost them."""
    if request.param == "plain":
        monkeypatch.setattr(onednn, "_NAMES", ("_no_such_operation",))
    elif not onednn._applies(torch.zeros(1)):
        pytest.skip("this torch has no joint operations of oneDNN")


@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize(
    ("conv", "side"),
    [
        (nn.Conv2d(8, 16, 1), 9),
        (nn.Conv2d(8, 8, 3, padding=1, groups=8), 9),
        (nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8), 9),
        (nn.Conv2d(8, 4, 1, bias=False), 9),
    ],
    ids=["1x1", "depth-wise", "strided", "without bias"],
)
@torch.no_grad()
def test_a_convolution_is_torchs(conv, side, gelu):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 8, side, side, generator=generator).to(memory_format=torch.channels_last)
    expected = functional.gelu(conv(x)) if gelu else conv(x)
    assert torch.allclose(convolve(x, conv, gelu=gelu), expected, atol=1e-5)


@pytest.mark.parametrize("gelu", [False, True])
@torch.no_grad()
def test_a_linear_map_is_torchs(gelu):
    layer = nn.Linear(8, 24)
    x = torch.randn(2, 5, 5, 8, generator=torch.Generator().manual_seed(0))
    expected = functional.gelu(layer(x)) if gelu else layer(x)
    assert torch.allclose(linear(x, layer, gelu=gelu), expected, atol=1e-5)


def test_half_precision_is_left_to_autocast():
    layer = nn.Linear(8, 8)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert linear(torch.ones(1, 8), layer).dtype == torch.bfloat16
