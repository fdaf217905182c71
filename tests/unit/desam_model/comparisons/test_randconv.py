from __future__ import annotations

import pytest
import torch

from desam_model.comparisons.randconv import (
    RandConv,
    consistency,
    draw_filter,
    random_convolution,
)


@pytest.fixture
def method(make_harness):
    return RandConv(harness=make_harness())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [1, 3, 7])
def test_filters_have_the_stated_deviation_and_no_mean(make_image, generator, channels, size):
    image = make_image(channels=channels)
    drawn = torch.stack([draw_filter(image, size, generator) for _ in range(600)])
    expected = 1 / (size * channels**0.5)
    assert drawn.std().item() == pytest.approx(expected, rel=0.08)
    assert abs(drawn.mean().item()) < 0.1 * expected


@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_every_kernel_keeps_the_images_shape(make_image, generator, size):
    image = make_image(channels=3, hw=(17, 23))
    weight = draw_filter(image, size, generator)
    assert random_convolution(image, weight, 0.3).shape == image.shape


def test_a_kernel_of_one_pixel_scales_a_grey_image(make_image, generator):
    image = make_image()
    weight = draw_filter(image, 1, generator)
    assert torch.allclose(random_convolution(image, weight, 0.0), weight.item() * image)


def test_there_is_no_bias(generator):
    black = torch.zeros(2, 1, 16, 16)
    assert (random_convolution(black, draw_filter(black, 3, generator), 0.2) == 0).all()


def test_all_of_the_original_is_the_identity(make_image, generator):
    image = make_image()
    assert torch.equal(random_convolution(image, draw_filter(image, 5, generator), 1.0), image)


def test_copies_differ_and_a_seed_decides_them(method, make_image):
    image, generator = make_image(), torch.Generator().manual_seed(0)
    first, second = (method.randomise(image, generator) for _ in range(2))
    again = method.randomise(image, torch.Generator().manual_seed(0))
    assert not torch.equal(first, second)
    assert torch.equal(first, again)


def test_the_image_variant_sometimes_keeps_the_original(make_harness, make_image, generator):
    method = RandConv(harness=make_harness(), variant="image")
    image = make_image()
    kept = [torch.allclose(method.randomise(image, generator), image) for _ in range(40)]
    assert 5 < sum(kept) < 35


def test_equal_copies_agree(generator):
    logits = torch.randn(2, 2, 8, 8, generator=generator)
    assert consistency([logits] * 3) == pytest.approx(0, abs=1e-6)
    assert consistency([logits, -logits, logits]) > 0.01


def test_no_gradient_reaches_a_randomised_image(method, make_image, generator):
    assert not method.randomise(make_image().requires_grad_(True), generator).requires_grad


def test_both_ways_of_supervision_can_be_had(make_harness, example):
    def parts(supervise_augmented):
        method = RandConv(
            harness=make_harness(), supervise_augmented=supervise_augmented, kernel_sizes=(5,)
        )
        return method.losses(example, torch.Generator().manual_seed(0))

    augmented, plain = parts(True), parts(False)
    assert augmented.keys() == plain.keys() == {"segmentation", "consistency"}
    assert augmented["segmentation"] != plain["segmentation"]


@pytest.mark.parametrize(
    ("options", "message"), [({"kernel_sizes": (2,)}, "odd"), ({"copies": 1}, "at least 2")]
)
def test_settings_without_a_meaning_are_refused(make_harness, options, message):
    with pytest.raises(ValueError, match=message):
        RandConv(harness=make_harness(), **options)
