from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from desam_model.comparisons.advnoise import AdvNoise
from desam_model.comparisons.image.intensity import norm_of
from desam_model.comparisons.image.softmax_losses import divergence
from desam_model.networks.base import Features, SegmentationNetwork


class PixelWeights(SegmentationNetwork):
    """A linear network: each pixel's foreground logit is its value times a weight of its own."""

    image_channels, stride, has_image_decoder, style_channels = 1, 1, False, ()

    def __init__(self, weights):
        super().__init__()
        self.weights = nn.Parameter(weights)

    def encode(self, image, after_stage=None):
        return Features(code=image, skips=(), image_hw=image.shape[-2:])

    def decode(self, features):
        foreground = features.code * self.weights
        return (torch.cat([torch.zeros_like(foreground), foreground], dim=1),)

    def reconstruct(self, features, after_stage=None):
        raise ValueError


@pytest.fixture
def method(make_harness):
    return AdvNoise(harness=make_harness(), epsilon=2.0, xi=0.1)


def cosine(a, b):
    return nn.functional.cosine_similarity(a.flatten(1), b.flatten(1))


def target_of(method, image):
    with torch.no_grad():
        return method.network(image) + 0.3


@pytest.mark.parametrize("channels", [1, 3])
def test_the_noise_has_exactly_the_norm_epsilon_before_rescaling(
    make_harness, make_image, generator, channels
):
    method = AdvNoise(harness=make_harness(channels), epsilon=2.0)
    image = make_image(channels=channels)
    direction = method.search(image, target_of(method, image), generator)
    norm = norm_of(method.epsilon * direction)
    assert torch.allclose(norm, torch.full_like(norm, 2.0), rtol=1e-5)


def test_the_adversarial_image_keeps_each_images_range(method, make_image, generator):
    image = make_image()
    direction = method.search(image, target_of(method, image), generator)
    perturbed = method.perturb(image, direction)
    for extreme in ("amin", "amax"):
        assert torch.allclose(
            getattr(perturbed, extreme)(dim=(1, 2, 3)), getattr(image, extreme)(dim=(1, 2, 3))
        )


def test_a_flat_divergence_gives_a_finite_unit_direction(method, make_image, generator):
    for parameter in method.network.parameters():
        nn.init.zeros_(parameter)
    image = make_image()
    direction = method.search(image, target_of(method, image), generator)
    norm = norm_of(direction)
    assert torch.allclose(norm, torch.ones_like(norm), rtol=1e-5)


def test_a_seed_decides_the_direction(method, make_image):
    image = make_image()
    target = target_of(method, image)
    first, second = (
        method.search(image, target, torch.Generator().manual_seed(4)) for _ in range(2)
    )
    assert torch.equal(first, second)


def test_on_a_linear_network_the_direction_is_the_analytic_gradient(
    make_harness, make_image, generator
):
    image = make_image()
    weights = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    harness = make_harness()
    object.__setattr__(harness, "network", PixelWeights(weights))
    method = AdvNoise(harness=harness, xi=0.1)
    target = torch.cat([torch.zeros_like(image), torch.full_like(image, 2.0)], dim=1)
    direction = method.search(image, target, generator)
    # d KL / d x = w (softmax(f(x)) - softmax(target)) of the foreground
    foreground = method.network(image).softmax(dim=1)[:, 1:] - target.softmax(dim=1)[:, 1:]
    assert (cosine(direction, weights * foreground) > 0.99).all()


def test_the_search_diverges_more_than_random_noise_does(method, make_image, generator):
    image = make_image()
    target = target_of(method.eval(), image)
    direction = method.search(image, target, generator)
    with torch.no_grad():
        searched = divergence(target, method.network(image + method.epsilon * direction))
        random = []
        for _ in range(8):
            noise = torch.randn(image.shape, generator=generator)
            noise = method.epsilon * noise / norm_of(noise)
            random.append(divergence(target, method.network(image + noise)).item())
    assert searched.item() > sum(random) / len(random)


def test_the_search_changes_neither_weights_nor_batch_norm_buffers(method, make_image, generator):
    method.train()
    before = copy.deepcopy(method.state_dict())
    image = make_image()
    method.search(image, target_of(method.eval(), image), generator)
    method.train()
    assert all(torch.equal(before[name], value) for name, value in method.state_dict().items())
    assert all(p.grad is None for p in method.parameters())


def test_the_released_xi_hardly_reaches_float32(make_image):
    image = make_image(size=1, hw=(224, 224))
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    moved = image + 1e-6 * noise / norm_of(noise)
    assert (moved != image).float().mean() < 0.3


def test_the_divergence_counts_as_its_weight_says(make_harness, example):
    parts = {}
    for weight in (0.0, 1.0, 3.0):
        method = AdvNoise(harness=make_harness(), divergence_weight=weight).train()
        parts[weight] = method.losses(example, torch.Generator().manual_seed(0))["consistency"]
    assert parts[0.0] == 0
    assert parts[1.0] > 0
    assert torch.allclose(parts[3.0], 3 * parts[1.0])
