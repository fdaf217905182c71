"""Options of the comparison methods: profiles, kernel sizes, labels, checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from sweeper.config.comparisons import (
    AdvNoiseConfig,
    CSDGConfig,
    MedSAMConfig,
    MixStyleConfig,
    RandConvConfig,
)


def test_the_official_profile_sets_only_options_that_the_yaml_leaves_out() -> None:
    assert (AdvNoiseConfig().epsilon, AdvNoiseConfig().xi) == (1.0, 0.1)
    official = AdvNoiseConfig.model_validate({"profile": "official", "xi": 0.5})
    assert (official.epsilon, official.xi) == (0.1, 0.5)
    assert MixStyleConfig.model_validate({"profile": "official"}).eps == 1e-8
    assert not RandConvConfig.model_validate({"profile": "official"}).supervise_augmented


def test_only_the_official_profile_has_training_defaults() -> None:
    assert CSDGConfig().training_defaults() == {}
    official = CSDGConfig.model_validate({"profile": "official"}).training_defaults()
    assert (official["epochs"], official["lr_decay"], official["selection"]) == (
        2000,
        "linear",
        "last",
    )
    medsam = MedSAMConfig.model_validate({"profile": "official"}).training_defaults()
    assert (medsam["epochs"], medsam["lr"]) == (1000, 1e-5)
    assert MedSAMConfig().training_defaults() == {}


@pytest.mark.parametrize("sizes", [[2], [1, 4], [0], [-3], []])
def test_kernel_sizes_must_be_odd(sizes: list[int]) -> None:
    with pytest.raises(ValidationError, match="expected odd sizes"):
        RandConvConfig.model_validate({"kernel_sizes": sizes})
    assert RandConvConfig.model_validate({"kernel_sizes": [1, 9]}).kernel_sizes == (1, 9)


def test_only_grid_prompts_of_medsam_use_the_grid_and_are_rated() -> None:
    for prompt, is_grid in (("whole_box", False), ("grid", True), ("gt_box", False)):
        config = MedSAMConfig.model_validate({"prompt": prompt})
        assert (config.uses_prompt_grid(), config.rates_prompts()) == (is_grid, is_grid)
        assert config.reads_embeddings()


def test_the_label_of_medsam_names_an_oracle_and_public_weights() -> None:
    assert MedSAMConfig().label() == "medsam"
    assert MedSAMConfig.model_validate({"prompt": "gt_box"}).label() == "medsam gt_box (oracle)"
    config = MedSAMConfig.model_validate({"prompt": "grid", "start": "weights/medsam_vit_b.pth"})
    assert config.label() == "medsam grid from medsam_vit_b.pth"
    assert config.own_checkpoint() == Path("weights/medsam_vit_b.pth")
    assert MedSAMConfig().own_checkpoint() is None
