"""Builds objects from configs; no other module does."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from desam_model.encoder.entry import MapShape
from desam_model.training.default_rates import default_lr
from desam_model.training.fit import Schedule
from sweeper.config.comparisons import MedSAMConfig
from sweeper.config.desam import DesamConfig
from sweeper.config.image_methods import ImageMethodConfig

if TYPE_CHECKING:
    from pathlib import Path

    from desam_model.method import SegmentationMethod
    from sweeper.config.trial import TrialConfig


_NO_MAP = MapShape(0, (0, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Sizes that depend on dataset and encoder; they come from the stores, not from the YAML file.

    Attributes:
        image_channels: Channels of an image.
        taps: Shape of each tap of an embedding. This and the neck are empty, and all following
            sizes are 0, if the method reads no embeddings.
        neck: Shape of the neck.
        input_px: Side of the encoder's input frame.
    """

    image_channels: int
    taps: tuple[MapShape, ...] = ()
    neck: MapShape = _NO_MAP
    input_px: int = 0


def build_method(
    config: TrialConfig, sizes: Sizes, seed: int, sam_checkpoint: Path | None = None
) -> SegmentationMethod:
    """The method of a trial, with weights drawn from `seed`; global random state is not changed.

    Only the module of this method is imported, because torchvision alone takes seconds.

    Args:
        config: The trial.
        sizes: Sizes of its data.
        seed: Seed of the weights that do not come from a checkpoint.
        sam_checkpoint: The file with the encoder's weights, which initialises PRIM, MedSAM's
            decoder and the frozen prompt encoder (sources.md S18); None if the encoder has none.
    """
    method = config.method
    if isinstance(method, DesamConfig):
        from desam_model.desam.desam import build_desam
        from desam_model.desam.losses import loss_weights

        profile = method.loss_profile
        weights = method.loss_weights
        return build_desam(
            tap_channels=tuple(tap.channels for tap in sizes.taps),
            tap_grids=tuple(tap.grid_hw for tap in sizes.taps),
            neck_channels=sizes.neck.channels,
            grid_hw=sizes.neck.grid_hw,
            input_px=sizes.input_px,
            prompt_mode=method.prompt_mode,
            ablation=method.ablation,
            loss_profile=loss_weights(profile, **weights.model_dump()) if weights else profile,
            training_points=method.training_points,
            seed=seed,
            sam_checkpoint=sam_checkpoint,
        )
    if isinstance(method, MedSAMConfig):
        from desam_model.comparisons.medsam import build_medsam, load_sam_weights

        medsam = build_medsam(
            neck_channels=sizes.neck.channels,
            grid_hw=sizes.neck.grid_hw,
            input_px=sizes.input_px,
            prompt=method.prompt,
            loss_profile=method.loss_profile,
            box_margin_px=method.box_margin_px,
            seed=seed,
        )
        if sam_checkpoint is not None:
            load_sam_weights(medsam, sam_checkpoint)
        return medsam
    if isinstance(method, ImageMethodConfig):
        return _build_image_method(method, sizes, seed)
    raise TypeError(f"no builder for method {method.key()!r}; add it to sweeper/factory.py")


def _build_image_method(method: ImageMethodConfig, sizes: Sizes, seed: int) -> SegmentationMethod:
    """The image method of a config, with the harness of its profile."""
    from desam_model.comparisons.image.harness import official_harness, unified_harness

    implementation = getattr(importlib.import_module(method.module()), method.implementation)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        # harness of the profile, with the config's overrides
        if method.profile == "official":
            harness = official_harness(
                method.official_harness,
                image_channels=sizes.image_channels,
                augmentation=method.augmentation,
            )
        else:
            harness = unified_harness(
                image_channels=sizes.image_channels,
                width=method.network.width,
                stages=method.network.stages,
                norm=method.network.norm,
                input_px=method.network.input_px,
                augmentation=method.augmentation,
                image_decoder=(
                    implementation.needs_image_decoder or bool(method.harness.reconstruction_weight)
                ),
            )
        harness = replace(harness, **method.harness.model_dump(exclude_none=True))
        # the method itself
        image_method: SegmentationMethod = implementation(harness=harness, **method.options())
        return image_method


def build_schedule(config: TrialConfig, sizes: Sizes) -> Schedule:
    """The training schedule of a trial."""
    training = config.training
    lr = default_lr(sizes.neck.channels) if training.lr is None else training.lr
    return Schedule(
        epochs=training.epochs,
        batch_size=training.batch_size,
        optimizer=training.optimizer,
        lr=lr,
        weight_decay=training.weight_decay,
        betas=training.betas,
        momentum=training.momentum,
        nesterov=training.nesterov,
        lr_decay=training.lr_decay,
        poly_power=training.poly_power,
        constant_epochs=training.constant_epochs,
        selection=training.selection,
        precision=training.precision,
        accumulate=training.accumulate,
        channels_last=training.channels_last,
        compile=training.compile,
    )
