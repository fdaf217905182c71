"""CSDG's network: any image size, no randomness in training but the weights, no dead layers."""

from __future__ import annotations

import pytest
import torch

from desam_model.networks.efficient_unet import EfficientUNet

# MONAI's own dependencies warn while they are imported
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return EfficientUNet(image_channels=1)


def test_logits_have_the_images_size_for_sides_that_are_no_multiple_of_the_stride(network):
    assert network.eval()(torch.rand(1, 1, 70, 65)).shape == (1, 2, 70, 65)


def test_two_training_passes_of_one_batch_agree(network):
    image = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        first, second = (network.train()(image) for _ in range(2))
    assert torch.equal(first, second)


def test_every_weight_gets_a_gradient(network):
    network.zero_grad()
    network.train()(torch.rand(2, 1, 64, 64)).square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_it_has_no_image_decoder_and_says_so(network):
    assert not network.has_image_decoder
    features = network.eval().encode(torch.rand(1, 1, 64, 64))
    with pytest.raises(ValueError, match="no image decoder"):
        network.reconstruct(features)
