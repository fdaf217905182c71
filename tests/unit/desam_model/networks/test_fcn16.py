"""FCN-16 segments and reconstructs images of any size, without skip connections."""

from __future__ import annotations

import pytest
import torch

from desam_model.networks.fcn16 import FCN16


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("hw", [(48, 32), (33, 47)])
def test_logits_and_reconstruction_have_the_images_size(channels, hw):
    network = FCN16(image_channels=channels).eval()
    features = network.encode(torch.rand(2, channels, *hw))
    assert network.decode(features)[0].shape == (2, 2, *hw)
    image = network.reconstruct(features)
    assert image.shape == (2, channels, *hw)
    assert 0 <= image.min() <= image.max() <= 1


def test_the_code_is_sixteen_times_coarser_and_there_are_no_skips():
    features = FCN16(image_channels=1).eval().encode(torch.rand(1, 1, 64, 96))
    assert features.code.shape == (1, 128, 4, 6)
    assert features.skips == ()


def test_the_image_decoders_hook_gets_the_declared_channels():
    network = FCN16(image_channels=1).eval()
    seen = []
    features = network.encode(torch.rand(1, 1, 32, 32))
    network.reconstruct(features, lambda _, maps: seen.append(maps.shape[1]) or maps)
    assert tuple(seen) == network.style_channels == (64, 32, 16, 16, 1)


def test_segmentation_and_reconstruction_share_only_the_code():
    network = FCN16(image_channels=1)
    features = network.encode(torch.rand(2, 1, 32, 32))
    network.decode(features)[0].sum().backward()
    assert all(p.grad is None for p in network.image_decoder.parameters())
    assert all(p.grad is not None for p in network.stages.parameters())
