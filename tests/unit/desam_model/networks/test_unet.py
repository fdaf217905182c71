from __future__ import annotations

import pytest
import torch

from desam_model.networks.unet import UNet


def make(**options):
    return UNet(**{"image_channels": 1, "width": 4, "stages": 3} | options)


@pytest.mark.parametrize("hw", [(32, 32), (29, 35), (4, 5)])
def test_logits_and_reconstruction_have_the_images_size(hw):
    network = make(image_decoder=True).eval()
    features = network.encode(torch.rand(2, 1, *hw))
    assert network.decode(features)[0].shape == (2, 2, *hw)
    image = network.reconstruct(features)
    assert image.shape == (2, 1, *hw)
    assert 0 <= image.min() <= image.max() <= 1


def test_hooks_see_every_stage_and_replace_its_output():
    network = make(image_decoder=True).eval()
    seen, painted = [], []
    features = network.encode(torch.rand(1, 1, 16, 16), lambda i, maps: seen.append(i) or maps * 0)
    assert seen == [0, 1, 2]
    assert all((skip == 0).all() for skip in features.skips)
    network.reconstruct(features, lambda i, maps: painted.append(maps.shape[1]) or maps)
    assert tuple(painted) == network.style_channels == (8, 4, 1)


def test_deep_supervision_adds_coarser_logits_in_train_mode_only():
    network = make(deep_supervision=True)
    features = network.train().encode(torch.rand(2, 1, 16, 16))
    assert [logits.shape[-1] for logits in network.decode(features)] == [16, 8]
    assert len(network.eval().decode(features)) == 1


def test_another_number_of_channels_is_refused():
    with pytest.raises(ValueError, match=r"expected \(B, 1, H, W\)"):
        make()(torch.rand(1, 3, 16, 16))


def test_a_network_without_image_decoder_says_how_to_get_one():
    network = make()
    with pytest.raises(ValueError, match="image_decoder=True"):
        network.reconstruct(network.encode(torch.rand(1, 1, 16, 16)))


def test_a_network_of_one_stage_is_refused():
    with pytest.raises(ValueError, match="stages is 1"):
        make(stages=1)
