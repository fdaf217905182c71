from __future__ import annotations

import pytest
import torch

from desam_model.comparisons.mixstyle import MixStyle, mix_statistics

ORDER = torch.tensor([2, 0, 3, 1])
EPS = 1e-6


@pytest.fixture
def features(generator):
    scale = torch.tensor([0.5, 1.0, 2.0, 4.0])[:, None, None, None]
    return scale * torch.randn(4, 3, 12, 12, generator=generator) + scale


def statistics(maps):
    return maps.mean(dim=(2, 3)), maps.std(dim=(2, 3))


def normalised(maps):
    mean, deviation = (s[..., None, None] for s in statistics(maps))
    return (maps - mean) / deviation


def share(value):
    return torch.full((4, 1, 1, 1), value)


def test_the_normalised_content_stays(features):
    mixed = mix_statistics(features, share(0.3), ORDER, EPS)
    assert torch.allclose(normalised(mixed), normalised(features), atol=1e-4)


def test_channels_get_the_mixed_mean_and_deviation(features):
    mixed = mix_statistics(features, share(0.3), ORDER, EPS)
    for got, own in zip(statistics(mixed), statistics(features), strict=True):
        assert torch.allclose(got, 0.3 * own + 0.7 * own[ORDER], atol=1e-4)


def test_mixed_statistics_lie_between_the_two_images(features):
    mixed = mix_statistics(features, share(0.6), ORDER, EPS)
    for got, own in zip(statistics(mixed), statistics(features), strict=True):
        low, high = torch.minimum(own, own[ORDER]), torch.maximum(own, own[ORDER])
        assert (got >= low - 1e-4).all()
        assert (got <= high + 1e-4).all()


def test_a_share_of_one_and_the_identity_order_change_nothing(features):
    assert torch.allclose(mix_statistics(features, share(1.0), ORDER, EPS), features, atol=1e-5)
    same = mix_statistics(features, share(0.2), torch.arange(4), EPS)
    assert torch.allclose(same, features, atol=1e-5)


def test_a_probability_of_zero_changes_nothing(make_harness, features, generator):
    method = MixStyle(harness=make_harness(), probability=0)
    assert torch.equal(method.mix(0, features, generator), features)


def test_only_the_named_layers_mix(make_harness, features, generator):
    method = MixStyle(harness=make_harness(), probability=1, layers=(2,))
    assert torch.equal(method.mix(0, features, generator), features)
    changed = [not torch.equal(method.mix(1, features, generator), features) for _ in range(8)]
    assert any(changed)


def test_a_batch_of_one_is_left_alone(make_harness, features, generator):
    method = MixStyle(harness=make_harness(), probability=1)
    one = features[:1]
    assert torch.allclose(method.mix(0, one, generator), one, atol=1e-5)


def test_prediction_never_mixes(make_harness, example):
    harness = make_harness()
    method = MixStyle(harness=harness, probability=1).eval()
    with torch.no_grad():
        assert torch.equal(method.network(example.clean), harness.network(example.clean))
        first, second = (method.network(example.clean) for _ in range(2))
    assert torch.equal(first, second)


def test_gradients_flow_through_the_normalised_values_alone(features):
    own = features.clone().requires_grad_(True)
    mix_statistics(own, share(0.0), ORDER, EPS).sum().backward()
    # shifting a whole channel shifts nothing if its mean were followed; detached, it does
    expected = statistics(features)[1][ORDER] / statistics(features)[1]
    assert torch.allclose(own.grad, expected[..., None, None].expand_as(own), rtol=1e-3)


def test_the_mixed_pass_leaves_batch_norm_buffers_to_the_standard_pass(make_harness, example):
    buffers = {}
    for probability in (0.0, 1.0):
        method = MixStyle(harness=make_harness(), probability=probability).train()
        method.losses(example, torch.Generator().manual_seed(0))
        buffers[probability] = dict(method.network.named_buffers())
    for name, buffer in buffers[0.0].items():
        assert torch.equal(buffer, buffers[1.0][name])
