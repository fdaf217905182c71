from __future__ import annotations

import pytest
import torch

from desam_model.comparisons.csdg import CSDG, consistency, draw_gin, interpolate
from desam_model.comparisons.image.intensity import norm_of, standardise


@pytest.fixture
def method(make_harness):
    return CSDG(harness=make_harness())


def gin(image, generator):
    return draw_gin(image, layers=4, channels=2, kernel_sizes=(1, 3), generator=generator)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transformed_image_keeps_its_norm_and_shape(method, make_image, generator, channels):
    image = standardise(make_image(channels=channels, hw=(17, 23)))[0]
    transformed = method.transform(image, generator)
    assert transformed.shape == image.shape
    assert torch.allclose(norm_of(transformed), norm_of(image), rtol=1e-4)


def test_two_images_of_a_batch_get_different_networks(make_image, generator):
    image = make_image(size=1).expand(2, -1, -1, -1)
    first, second = gin(image, generator).apply(image)
    assert not torch.allclose(first, second)


def test_each_image_is_rendered_by_its_own_network_alone(make_image, generator):
    image = make_image(channels=3)
    network = gin(image, generator)
    changed = image.clone()
    changed[1] = 0
    kept = [0, 2, 3]
    assert torch.allclose(network.apply(image)[kept], network.apply(changed)[kept], atol=1e-5)


def test_a_seed_decides_the_copies(method, make_image):
    image = make_image()
    runs = [method.randomise(image, torch.Generator().manual_seed(3)) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


def test_no_autograd_graph_is_built(method, make_image, generator):
    copies = method.randomise(make_image().requires_grad_(True), generator)
    assert not any(copy.requires_grad for copy in copies)


@pytest.mark.parametrize("hw", [(32, 32), (33, 47)])
def test_the_blend_map_spans_zero_to_one_in_each_image_and_is_smooth(
    method, make_image, generator, hw
):
    blend = method.blend_map(make_image(hw=hw), generator)
    assert blend.shape == (4, 1, *hw)
    assert torch.allclose(blend.amin(dim=(1, 2, 3)), torch.zeros(4), atol=1e-6)
    assert torch.allclose(blend.amax(dim=(1, 2, 3)), torch.ones(4), atol=1e-6)
    assert blend.diff(dim=-1).abs().max() < 0.25


def test_blended_images_keep_their_sum(make_image, generator):
    first, second = make_image(), make_image().flip(-1)
    blend = torch.rand(4, 1, 32, 32, generator=generator)
    one, other = interpolate(first, second, blend)
    assert torch.allclose(one + other, first + second, atol=1e-6)
    same = interpolate(first, second, torch.ones_like(blend))
    assert torch.equal(same[0], first)
    assert torch.equal(same[1], second)


def test_equal_copies_agree_and_others_do_not(generator):
    logits = torch.randn(2, 2, 8, 8, generator=generator)
    assert consistency([logits] * 3, "elements") == pytest.approx(0, abs=1e-6)
    assert consistency([logits, logits, -logits], "elements") > 0


def test_the_released_reduction_is_half_the_textbook_one(generator):
    logits = [torch.randn(2, 2, 8, 8, generator=generator) for _ in range(3)]
    assert 2 * consistency(logits, "elements") == pytest.approx(
        consistency(logits, "pixels").item(), rel=1e-5
    )


def test_gradients_reach_the_mean_prediction_too(generator):
    constant = torch.randn(1, 2, 4, 4, generator=generator)
    moving = torch.randn(1, 2, 4, 4, generator=generator).requires_grad_(True)
    consistency([moving, constant, constant], "pixels").backward()
    assert moving.grad.abs().max() > 0


@pytest.mark.parametrize("channels", [1, 3])
def test_with_alpha_zero_the_transformed_image_is_the_image(
    method, make_image, generator, monkeypatch, channels
):
    image = standardise(make_image(channels=channels))[0]
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.zeros(shape))  # alpha
    assert torch.allclose(method.transform(image, generator), image, atol=1e-5)


def test_the_released_epsilon_of_the_blend_map_has_no_effect(make_harness, make_image):
    maps = [
        CSDG(harness=make_harness(), epsilon=epsilon).blend_map(
            make_image(), torch.Generator().manual_seed(0)
        )
        for epsilon in (0.1, 0.3, 0.9)
    ]
    assert torch.allclose(maps[0], maps[1], atol=1e-5)
    assert torch.allclose(maps[2], maps[1], atol=1e-5)


def test_the_weights_of_dice_and_cross_entropy_are_those_of_the_loss(make_harness, generator):
    logits = torch.randn(2, 2, 8, 8, generator=generator)
    reference = torch.zeros(2, 1, 8, 8)
    reference[:, :, 2:6, 2:6] = 1

    def loss(dice, ce):
        method = CSDG(harness=make_harness(), dice_weight=dice, ce_weight=ce)
        return method.segmentation_loss(logits, reference)

    assert (loss(1, 0) > 0).all()
    assert (loss(0, 1) > 0).all()
    assert torch.allclose(loss(2, 3), 2 * loss(1, 0) + 3 * loss(0, 1))
