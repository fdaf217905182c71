from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest
import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer

from desam_model.desam.prim import default_heads
from desam_model.encoder.entry import MapShape
from desam_model.training.fit import Schedule
from sweeper.config.image_methods import ImageMethodConfig
from sweeper.config.trial import TrialConfig
from sweeper.factory import Sizes, build_method, build_schedule

if TYPE_CHECKING:
    from pathlib import Path

SIZES = Sizes(
    image_channels=1, taps=(MapShape(8, (8, 8)),) * 3, neck=MapShape(16, (8, 8)), input_px=128
)
IMAGE_METHODS = ["unet", "upper_bound", "advnoise", "advbias", "randconv", "mixstyle"]
IMAGE_METHODS += ["maxstyle", "csdg"]


def trial(name, **options):
    small = {"network": {"width": 4, "stages": 3}} if name in IMAGE_METHODS else {}
    return TrialConfig.model_validate({"source": "A", "method": {"name": name} | small | options})


@pytest.mark.parametrize("name", [*IMAGE_METHODS, "medsam", "desam"])
def test_every_method_is_built_and_the_seed_decides_its_weights(name):
    torch.manual_seed(1)
    first = build_method(trial(name), SIZES, seed=3)
    torch.manual_seed(2)
    again, other = (build_method(trial(name), SIZES, seed=seed) for seed in (3, 4))
    weights, same, different = (
        torch.cat([p.flatten() for p in m.parameters()]) for m in (first, again, other)
    )
    assert torch.equal(weights, same)
    assert not torch.equal(weights, different)


@pytest.mark.parametrize("name", IMAGE_METHODS)
def test_every_option_of_a_config_reaches_the_method(name):
    config = trial(name).method
    assert isinstance(config, ImageMethodConfig)
    method = build_method(trial(name), SIZES, seed=0)
    arguments = inspect.signature(type(method).__init__).parameters.keys() - {"self", "harness"}
    assert config.options().keys() == arguments


@pytest.mark.parametrize("name", IMAGE_METHODS)
def test_the_defaults_of_a_config_and_of_its_method_are_the_same(name):
    method = build_method(trial(name), SIZES, seed=0)
    signature = inspect.signature(type(method).__init__).parameters
    for option, value in trial(name).method.options().items():
        assert signature[option].default == value, option


def test_the_official_profile_brings_the_papers_network():
    config = TrialConfig.model_validate(
        {"source": "A", "method": {"name": "mixstyle", "profile": "official"}}
    )
    method = build_method(config, SIZES, seed=0)
    assert type(method.network).__name__ == "FCN16"
    assert method.eps == 1e-8


@pytest.mark.slow
def test_the_official_csdg_trains_on_its_own_network():
    from desam_model.types import Batch

    config = TrialConfig.model_validate(
        {"source": "A", "method": {"name": "csdg", "profile": "official"}}
    )
    method = build_method(config, SIZES, seed=0).train()
    assert type(method.network).__name__ == "EfficientUNet"
    reference = torch.zeros(2, 1, 64, 64)
    reference[:, :, 20:40, 20:40] = 1
    image = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    batch = Batch(reference=reference, image=image)
    totals = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        totals.append(method.training_loss(batch, torch.Generator().manual_seed(0)).total)
    assert totals[0] == totals[1]
    totals[0].backward()
    assert all(p.grad is not None for p in method.trainable_parameters())


@pytest.mark.parametrize("name", ["desam", "medsam"])
def test_decoders_start_from_sams_weights_where_a_checkpoint_is_given(
    name: str, tmp_path: Path
) -> None:
    width, heads = SIZES.neck.channels, default_heads(SIZES.neck.channels)
    mlp = max(width, width**2 // 32)
    parts = {
        "prompt_encoder": PromptEncoder(width, SIZES.neck.grid_hw, (SIZES.input_px,) * 2, 16),
        "mask_decoder": MaskDecoder(
            transformer_dim=width,
            transformer=TwoWayTransformer(2, width, heads, mlp),
            iou_head_hidden_dim=width,
        ),
    }
    weights = {
        f"{part}.{key}": value
        for part, module in parts.items()
        for key, value in module.state_dict().items()
    }
    torch.save(weights, tmp_path / "sam.pth")
    method = build_method(trial(name), SIZES, seed=0, sam_checkpoint=tmp_path / "sam.pth")
    own = {tuple(v.flatten()[:8].tolist()) for v in method.state_dict().values() if v.numel() > 8}
    token = weights["mask_decoder.iou_token.weight"]
    assert tuple(token.flatten()[:8].tolist()) in own


def test_the_loss_weights_that_the_plan_knows_are_those_that_are_trained_with() -> None:
    from desam_model.desam.losses import LossProfile, loss_weights
    from sweeper.config.desam import PROFILE_WEIGHTS

    assert set(PROFILE_WEIGHTS) == {profile.value for profile in LossProfile}
    for profile, usual in PROFILE_WEIGHTS.items():
        weights = loss_weights(profile)
        assert {name: getattr(weights, name) for name in usual} == usual


def test_values_of_the_harness_are_the_profiles_unless_they_are_set() -> None:
    def harness(**options):
        return build_method(trial("mixstyle", **options), SIZES, seed=0).harness

    plain, noisy = harness(), harness(harness={"input_noise": 0.05, "keep_originals": True})
    assert (plain.input_noise, plain.keep_originals, plain.reconstruction_weight) == (0, False, 0)
    assert (noisy.input_noise, noisy.keep_originals, noisy.reconstruction_weight) == (0.05, True, 0)
    reconstructs = harness(harness={"reconstruction_weight": 0.25})
    assert reconstructs.reconstruction_weight == 0.25
    assert reconstructs.network.has_image_decoder
    official = TrialConfig.model_validate(
        {
            "source": "A",
            "method": {"name": "unet", "profile": "official", "harness": {"input_noise": 0.1}},
        }
    )
    assert build_method(official, SIZES, seed=0).harness.input_noise == 0.1


@pytest.mark.parametrize("name", IMAGE_METHODS)
def test_the_network_sees_its_own_size_and_masks_have_the_datasets(name: str) -> None:
    from desam_model.types import Batch, PredictionSettings

    network = {"width": 4, "stages": 3, "input_px": 32}
    method = build_method(trial(name, network=network), SIZES, seed=0)
    sizes = set()
    encode = method.network.encode
    method.network.encode = lambda image, *a: (
        sizes.add(tuple(image.shape[-2:])),
        encode(image, *a),
    )[1]
    reference = torch.zeros(2, 1, 48, 40)
    reference[:, :, 20:30, 20:30] = 1
    batch = Batch(
        reference=reference,
        image=torch.rand(reference.shape, generator=torch.Generator().manual_seed(0)),
    )
    method.train().training_loss(batch, torch.Generator().manual_seed(0))
    with torch.no_grad():
        method.eval()
        assert method.validation_loss(batch).shape == (2,)
        assert method.predict(batch, PredictionSettings()).mask.shape == reference.shape
    assert sizes == {(32, 32)}
    assert batch.reference.shape == (2, 1, 48, 40)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("unet", {"optimizer": "sgd", "nesterov": True, "momentum": 0.99}),
        ("csdg", {"betas": (0.5, 0.999), "constant_epochs": 50, "selection": "last"}),
        ("medsam", {"selection": "training", "lr": 1e-5}),
    ],
)
def test_an_official_recipe_reaches_the_schedule_and_a_plain_one_is_the_released(
    name: str, expected: dict[str, object]
) -> None:
    for profile, values in (("official", expected), ("unified", {})):
        config = TrialConfig.model_validate(
            {"source": "A", "method": {"name": name, "profile": profile}}
        )
        schedule = build_schedule(config, SIZES)
        plain = Schedule(lr=schedule.lr)
        assert {key: getattr(schedule, key) for key in expected} == {
            key: values.get(key, getattr(plain, key)) for key in expected
        }


def test_the_schedule_of_a_search_space_reaches_the_training() -> None:
    values = {
        "optimizer": "sgd",
        "momentum": 0.5,
        "nesterov": True,
        "betas": (0.7, 0.8),
        "poly_power": 2.0,
        "constant_epochs": 3,
        "selection": "last",
    }
    config = TrialConfig.model_validate(
        {"source": "A", "method": {"name": "unet"}, "training": values}
    )
    schedule = build_schedule(config, SIZES)
    assert {key: getattr(schedule, key) for key in values} == values
