from __future__ import annotations

import math

import pytest
import torch

from desam_model.comparisons.advbias import AdvBias, contour_difference


@pytest.fixture
def method(make_harness):
    return AdvBias(harness=make_harness())


def test_the_grid_is_four_by_four_as_released(method, make_image, generator):
    control = method.initial_control(make_image(hw=(224, 224)), generator)
    assert control.shape == (4, 1, 4, 4)
    assert control.min() >= math.log(0.6)
    assert control.max() <= math.log(1.4)


def test_constant_control_points_give_their_constant_in_the_centre(method, make_image):
    image = make_image(hw=(64, 64))
    field = method.field(torch.full((4, 1, 4, 4), math.log(1.2)), image)
    assert torch.allclose(field[:, :, 24:40, 24:40], torch.tensor(1.2), rtol=1e-3)
    lost = 1 - field.log().min().item() / math.log(1.2)
    assert 0 < lost < 0.045  # up to 2.1 % on each of the two axes


def test_control_points_of_zero_change_nothing(method, make_image):
    image = make_image()
    field = method.field(torch.zeros(4, 1, 4, 4), image)
    assert torch.equal(field * image, image)


@pytest.mark.parametrize("hw", [(32, 32), (33, 47)])
def test_the_field_stays_in_range_and_has_the_images_shape(method, make_image, generator, hw):
    image = make_image(hw=hw)
    field = method.field(3 * torch.randn(4, 1, 4, 4, generator=generator), image)
    assert field.shape == (4, 1, *hw)
    assert field.min() >= 1 - method.epsilon
    assert field.max() <= 1 + method.epsilon


def test_black_pixels_stay_black(method, make_image, generator):
    image = make_image()
    image[:, :, :5] = 0
    biased = method.field(method.initial_control(image, generator), image) * image
    assert (biased[:, :, :5] == 0).all()


def test_the_field_is_smooth(make_harness, make_image, generator):
    method = AdvBias(harness=make_harness(), downscale=1)
    image = make_image(hw=(128, 128))
    field = method.field(method.initial_control(image, generator), image)
    assert field.diff(n=2, dim=-1).abs().max() < 1e-3


def test_the_ascent_keeps_the_control_points_in_range(method, make_image, generator):
    image = make_image()
    target = method.network(image).detach() + 0.5
    control = method.search(image, target, generator)
    assert control.min() >= math.log(0.6) - 1e-6
    assert control.max() <= math.log(1.4) + 1e-6


def test_the_ascent_raises_the_divergence_on_average(make_harness, make_image):
    image = make_image()
    method = AdvBias(harness=make_harness(), step=0.2).eval()
    target = method.network(image).detach()

    def loss(control):
        with torch.no_grad():
            parts = method.divergences(target, method.network(method.field(control, image) * image))
        return sum(part.item() for part in parts.values())

    before, after = [], []
    for seed in range(6):
        start = method.initial_control(image, torch.Generator().manual_seed(seed))
        before.append(loss(start))
        after.append(loss(method.search(image, target, torch.Generator().manual_seed(seed))))
    assert sum(after) >= sum(before)


def test_contours_of_equal_predictions_do_not_differ(generator):
    logits = torch.randn(2, 2, 16, 16, generator=generator)
    assert contour_difference(logits, logits) == 0
    assert contour_difference(logits, logits.roll(3, dims=-1)) > 0


def test_an_epsilon_beyond_one_is_refused(make_harness):
    with pytest.raises(ValueError, match=r"epsilon is 1\.5"):
        AdvBias(harness=make_harness(), epsilon=1.5)


def test_the_linear_space_gives_the_field_less_one(make_harness, make_image, generator):
    method = AdvBias(harness=make_harness(), space="linear")
    image = make_image(hw=(64, 64))
    field = method.field(torch.full((4, 1, 4, 4), -0.2), image)
    assert torch.allclose(field[:, :, 24:40, 24:40], torch.tensor(0.8), rtol=1e-3)
    control = method.search(image, method.network(image).detach() + 0.5, generator)
    assert control.abs().max() <= method.epsilon + 1e-6


def test_the_identity_as_start_leaves_the_image_as_it_is(make_harness, make_image, generator):
    image = make_image()
    for space in ("log", "linear"):
        method = AdvBias(harness=make_harness(), init="identity", space=space)
        control = method.initial_control(image, generator)
        assert torch.equal(method.field(control, image) * image, image)
