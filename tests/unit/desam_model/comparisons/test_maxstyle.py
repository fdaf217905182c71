from __future__ import annotations

import copy

import pytest
import torch

from desam_model.comparisons.image.intensity import rescale
from desam_model.comparisons.image.softmax_losses import cross_entropy
from desam_model.comparisons.maxstyle import MaxStyle, Style, draw_other_order


@pytest.fixture
def make_method(make_harness):
    def make(**options):
        return MaxStyle(harness=make_harness(image_decoder=True), **options)

    return make


def style(n=4, channels=3, weight=0.0, noise=0.0, order=(1, 2, 3, 0)):
    return Style(
        order=torch.tensor(order),
        weight=torch.full((n, 1, 1, 1), weight),
        scale_noise=torch.full((n, channels, 1, 1), noise),
        shift_noise=torch.full((n, channels, 1, 1), noise),
    )


def test_without_active_layers_it_is_the_plain_reconstruction(make_method, example, generator):
    method = make_method(probability=0).eval()
    with torch.no_grad():
        features = method.network.encode(example.clean)
        plain = method.network.reconstruct(features)
    hardest = method.hardest_style(features, example.reference, generator)
    assert torch.equal(hardest, plain)


def test_no_mixing_and_no_noise_is_the_identity(generator):
    maps = torch.randn(4, 3, 8, 8, generator=generator)
    assert torch.allclose(style()(maps), maps, atol=1e-5)


def test_shares_are_clamped(generator):
    maps = torch.randn(4, 3, 8, 8, generator=generator)
    assert torch.equal(style(weight=3.0)(maps), style(weight=1.0)(maps))
    assert torch.equal(style(weight=-2.0)(maps), style(weight=0.0)(maps))


def test_noise_may_turn_a_contrast_around(generator):
    maps = torch.randn(4, 3, 8, 8, generator=generator) * torch.arange(1, 5)[:, None, None, None]
    inverted = style(noise=-20.0)(maps)
    assert (torch.corrcoef(torch.stack([maps[0, 0].flatten(), inverted[0, 0].flatten()]))[0, 1]) < 0


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_order_is_never_the_identity(n):
    for seed in range(30):
        order = draw_other_order(n, torch.Generator().manual_seed(seed))
        assert sorted(order.tolist()) == list(range(n))
        assert order.tolist() != list(range(n))


def test_a_batch_of_one_keeps_its_only_order(generator):
    assert draw_other_order(1, generator).tolist() == [0]


def test_the_search_raises_the_cross_entropy_on_average(make_method, example):
    losses = {0: [], 5: []}
    for seed in range(4):
        for iterations, found in losses.items():
            method = make_method(probability=1, iterations=iterations)
            features = method.network.encode(example.clean)
            image = method.hardest_style(
                features, example.reference, torch.Generator().manual_seed(seed)
            )
            with torch.no_grad():
                found.append(cross_entropy(method.network(image), example.reference).mean().item())
    assert sum(losses[5]) >= sum(losses[0])


def test_the_search_leaves_the_network_as_it_was(make_method, example, generator):
    method = make_method(probability=1).train()
    features = method.network.encode(example.clean)
    before = copy.deepcopy(method.state_dict())
    flags = [p.requires_grad for p in method.parameters()]
    method.hardest_style(features, example.reference, generator)
    assert all(torch.equal(before[name], value) for name, value in method.state_dict().items())
    assert [p.requires_grad for p in method.parameters()] == flags
    assert all(p.grad is None for p in method.parameters())


def test_the_image_is_finite_in_half_precision_and_in_range_after_rescaling(
    make_method, example, generator
):
    method = make_method(probability=1)
    with torch.autocast("cpu", dtype=torch.float16):
        features = method.network.encode(example.clean)
        image = method.hardest_style(features, example.reference, generator)
    assert torch.isfinite(image).all()
    rescaled = rescale(image)
    assert rescaled.min() == 0
    assert rescaled.max() == 1


def test_only_the_last_layers_get_a_style(make_method, example, generator):
    method = make_method(probability=1, style_layers=2)
    code = method.network.encode(example.clean).code
    last = len(method.network.style_channels) - 1
    assert sorted(method.draw_styles(4, code, generator)) == [last - 1, last]


def test_a_network_without_an_image_decoder_is_refused(make_harness):
    with pytest.raises(ValueError, match="image_decoder=True"):
        MaxStyle(harness=make_harness())


def test_more_style_layers_than_outputs_are_refused(make_method):
    with pytest.raises(ValueError, match="expected 1 to 3"):
        make_method(style_layers=4)


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"probability": 1}, 5),
        ({"probability": 0}, 0),
        ({"probability": 1, "mix_learnable": False, "noise_learnable": False}, 0),
    ],
)
def test_the_optimiser_steps_as_often_as_there_is_something_to_move(
    make_method, example, generator, monkeypatch, options, steps
):
    taken = []
    step = torch.optim.Adam.step
    monkeypatch.setattr(
        torch.optim.Adam, "step", lambda self, *a, **k: (taken.append(self), step(self, *a, **k))
    )
    method = make_method(**options)
    features = method.network.encode(example.clean)
    method.hardest_style(features, example.reference, generator)
    assert len(taken) == steps


@pytest.mark.parametrize("fixed", ["mix", "noise"])
def test_what_is_not_learnable_stays_as_drawn(make_method, example, fixed):
    method = make_method(probability=1, **{f"{fixed}_learnable": False})
    code = method.network.encode(example.clean).code
    styles = method.draw_styles(4, code, torch.Generator().manual_seed(0))
    for one in styles.values():
        assert len(one.parameters) == (2 if fixed == "mix" else 1)
        assert one.weight is not None
        assert one.scale_noise is not None
