"""The image decoder doubles the resolution per stage and returns an image in [0, 1]."""

from __future__ import annotations

import pytest
import torch

from desam_model.networks.image_decoder import ImageDecoder, ResidualBlock


def decoder(channels=1):
    return ImageDecoder(code_channels=6, stage_channels=(5, 4), image_channels=channels).eval()


@pytest.mark.parametrize("channels", [1, 3])
def test_each_stage_doubles_the_resolution(channels):
    image = decoder(channels)(torch.randn(2, 6, 3, 5))
    assert image.shape == (2, channels, 12, 20)
    assert 0 <= image.min() <= image.max() <= 1


def test_the_hook_gets_every_stage_and_then_the_image():
    model = decoder()
    seen = []
    model(
        torch.randn(1, 6, 2, 2), lambda index, maps: seen.append((index, *maps.shape[1:])) or maps
    )
    assert seen == [(0, 5, 4, 4), (1, 4, 8, 8), (2, 1, 8, 8)]
    assert model.stage_channels == (5, 4, 1)


def test_the_hooks_output_replaces_the_stage():
    model = decoder()
    code = torch.randn(1, 6, 2, 2)
    replaced = model(code, lambda index, maps: maps * 0 if index == 1 else maps)
    assert torch.allclose(replaced, model.output.bias.sigmoid().view(1, 1, 1, 1).expand(1, 1, 8, 8))
    assert not torch.allclose(replaced, model(code))


def test_a_residual_block_keeps_the_size_and_changes_the_channels():
    assert ResidualBlock(3, 7)(torch.randn(2, 3, 5, 4)).shape == (2, 7, 5, 4)
