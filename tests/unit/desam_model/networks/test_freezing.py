from __future__ import annotations

import copy

import pytest
import torch

from desam_model.networks.freezing import evaluating, frozen_batch_norm, frozen_weights
from desam_model.networks.unet import UNet


@pytest.fixture
def network():
    return UNet(image_channels=1, width=4, stages=3).train()


def state(network):
    return copy.deepcopy(network.state_dict())


def flags(network):
    modes = [m.training for m in network.modules()]
    tracks = [getattr(m, "track_running_stats", None) for m in network.modules()]
    return [p.requires_grad for p in network.parameters()], modes, tracks


@pytest.mark.parametrize("context", [evaluating, frozen_batch_norm, frozen_weights])
def test_flags_are_restored_even_after_an_error(network, context):
    before = flags(network)
    inside = []

    def fail():
        with context(network):
            inside.append(flags(network))
            raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        fail()
    assert inside[0] != before
    assert flags(network) == before


def test_frozen_batch_norm_uses_the_batch_and_learns_nothing(network):
    before, image = state(network), torch.rand(2, 1, 16, 16) + 3
    with frozen_batch_norm(network):
        frozen = network(image)
        frozen.sum().backward()
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(norm.weight.grad is None for norm in norms)
    assert torch.equal(frozen, network(image))  # the same batch statistics as in train mode


def test_evaluating_gives_the_input_a_gradient_and_the_weights_none(network):
    image = torch.rand(2, 1, 16, 16, requires_grad=True)
    with evaluating(network):
        network(image).sum().backward()
    assert image.grad is not None
    assert all(p.grad is None for p in network.parameters())
