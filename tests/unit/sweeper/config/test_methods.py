from __future__ import annotations

from typing import get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from sweeper.config.base import Level
from sweeper.config.image_methods import HarnessConfig, NetworkConfig
from sweeper.config.methods import MethodConfig
from sweeper.config.trial import EncoderConfig, EvaluationConfig, TrainingConfig, TrialConfig
from sweeper.plan.code_version import training_hash

SITES = ("A", "B", "C")
ADAPTER = TypeAdapter(MethodConfig)


def read(**values):
    return ADAPTER.validate_python(values)


def test_an_unknown_method_names_those_there_are():
    with pytest.raises(ValidationError, match="'unet'"):
        read(name="unett")


def test_an_option_of_another_method_is_refused():
    with pytest.raises(ValidationError, match="variant"):
        read(name="unet", variant="target_cv")


def test_an_official_profile_refuses_another_network():
    with pytest.raises(ValidationError, match="remove network or use profile unified"):
        read(name="unet", profile="official", network={"width": 8})


def test_target_cv_trains_on_every_site_but_the_source():
    pairs = read(name="upper_bound", folds=2).cross_validation("A", SITES)
    assert pairs == (("B", 0), ("B", 1), ("C", 0), ("C", 1))


def test_all_sites_is_one_cross_validation_over_everything():
    config = read(name="upper_bound", variant="all_sites", folds=3)
    assert config.cross_validation("A", SITES) == (("all", 0), ("all", 1), ("all", 2))


def test_source_cv_stays_on_the_source():
    config = read(name="upper_bound", variant="source_cv", folds=2)
    assert config.cross_validation("A", SITES) == (("A", 0), ("A", 1))


@pytest.mark.parametrize("variant", ["target_cv", "all_sites", "source_cv"])
def test_the_label_of_an_upper_bound_says_which(variant):
    assert variant in read(name="upper_bound", variant=variant).label()


def test_a_plain_method_is_not_cross_validated():
    assert read(name="unet").cross_validation("A", SITES) is None


def test_an_official_profile_brings_its_own_values_and_the_yaml_still_wins():
    official = read(name="advnoise", profile="official")
    assert (official.epsilon, official.xi) == (0.1, 1e-6)
    assert read(name="advnoise", profile="official", epsilon=5.0).epsilon == 5.0
    assert read(name="advnoise").epsilon == 1.0


def test_an_official_profile_brings_its_own_schedule_and_the_yaml_still_wins():
    trial = TrialConfig.model_validate(
        {
            "source": "A",
            "method": {"name": "csdg", "profile": "official"},
            "training": {"epochs": 3},
        }
    )
    assert (trial.training.epochs, trial.training.lr, trial.training.batch_size) == (3, 3e-4, 20)
    assert TrialConfig.model_validate_json(trial.model_dump_json()) == trial


def test_even_kernels_are_refused():
    with pytest.raises(ValidationError, match="expected odd sizes"):
        read(name="randconv", kernel_sizes=[2])


def test_an_oracle_prompt_is_named_in_the_row_label():
    assert "oracle" in read(name="medsam", prompt="gt_box").label()


@pytest.mark.parametrize(("prompt", "on_grid"), [("grid", True), ("whole_box", False)])
def test_only_point_prompts_depend_on_the_grid(prompt, on_grid):
    config = read(name="medsam", prompt=prompt)
    assert config.uses_prompt_grid() is config.rates_prompts() is on_grid


CONFIGS = get_args(get_args(MethodConfig)[0])


MORE = [TrainingConfig, EvaluationConfig, EncoderConfig, HarnessConfig, NetworkConfig]


@pytest.mark.parametrize("config", [*CONFIGS, *MORE], ids=lambda c: c.__name__)
def test_every_option_is_described(config):
    undescribed = [
        name
        for name, field in config.model_fields.items()
        if not field.description and (name != "name" or config is EncoderConfig)
    ]
    assert undescribed == []


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.__name__)
def test_the_code_version_of_every_method_can_be_computed(config):
    assert len(training_hash(config().module())) == 12


ADDED_LATER = [
    ("advnoise", {"divergence_weight": 1.0}, {"divergence_weight": 2.0}),
    ("advbias", {"space": "log", "init": "random"}, {"space": "linear"}),
    ("maxstyle", {"mix_learnable": True}, {"noise_learnable": False}),
    ("csdg", {"dice_weight": 1, "epsilon": 0.3, "downscale": 2}, {"ce_weight": 0.5}),
    ("randconv", {"harness": {}}, {"harness": {"input_noise": 0.05}}),
    ("unet", {"harness": {"keep_originals": None}}, {"harness": {"keep_originals": True}}),
]


@pytest.mark.parametrize(("name", "usual", "other"), ADDED_LATER)
def test_a_value_added_later_enters_the_identity_only_where_it_is_used(name, usual, other):
    plain = read(name=name).at_level(Level.TRAINING)
    assert not set(plain) & {*usual, *other}
    assert read(name=name, **usual).at_level(Level.TRAINING) == plain
    assert read(name=name, **other).at_level(Level.TRAINING) == plain | other


def test_a_network_without_an_image_decoder_cannot_reconstruct():
    with pytest.raises(ValidationError, match="no image decoder"):
        read(name="csdg", profile="official", harness={"reconstruction_weight": 0.5})


def test_a_row_that_starts_from_medsams_own_weights_says_so():
    assert read(name="medsam", start="medsam_vit_b.pth").label() == "medsam from medsam_vit_b.pth"


def test_a_schedule_added_later_enters_the_identity_only_where_it_is_used():
    def training(**values):
        trial = TrialConfig.model_validate(
            {"source": "A", "method": {"name": "unet"}, "training": values}
        )
        return trial.at_level(Level.TRAINING)["training"]

    usual = {
        "nesterov": False,
        "betas": [0.9, 0.999],
        "poly_power": 0.9,
        "constant_epochs": 0,
        "selection": "validation",
    }
    assert training(**usual) == training()
    assert not set(training()) & set(usual)
    assert training(selection="last", betas=[0.5, 0.9]) == training() | {
        "selection": "last",
        "betas": [0.5, 0.9],
    }
