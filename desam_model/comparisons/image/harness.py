"""Harness of an image method: network, base augmentation, supervision and normalisation.

The unified harness is the same for all methods, so that a table compares only the methods. The
official harnesses follow the repository of each method.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from desam_model.comparisons.image.augmentation import (
    Augmentation,
    csdg_augmentation,
    family_augmentation,
    nnunet_augmentation,
    unified_augmentation,
)
from desam_model.networks.efficient_unet import EfficientUNet
from desam_model.networks.fcn16 import FCN16
from desam_model.networks.unet import UNet

if TYPE_CHECKING:
    from desam_model.networks.base import SegmentationNetwork

Supervision = Literal["dice_ce", "ce", "dice_all_ce", "batch_dice_ce"]
"""Supervised loss: cross-entropy, alone or plus a soft Dice loss: of the foreground per slice, of
all classes per slice (CSDG), or of the foreground over the batch (nnU-Net)."""

Recipe = Literal["maxstyle_family", "csdg", "nnunet"]
"""The repositories that official harnesses follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Harness:
    """The common parts of an image method.

    Attributes:
        network: Segments the image and, if it has an image decoder, reconstructs it.
        augmentation: Base augmentation of the training batches, or None.
        supervision: The supervised loss.
        reconstruction_weight: Weight of the image decoder's mean squared error; 0 without one.
        input_noise: Standard deviation of Gaussian noise on the input of the standard pass, for
            images in [0, 1].
        keep_originals: True if a batch also contains its slices without augmentation.
        normalisation: Normalisation of the network's input, per image.
        input_px: Side to which images are resized for the network; None keeps their size.
        window_px: Sides (padded, cropped): training slices larger than the second are padded to
            the first and cropped to a random square of the second. None trains on whole slices.
            Test slices are never cropped.
        flips_in_test: True to average predictions over the four mirrored versions of the image.
    """

    network: SegmentationNetwork
    augmentation: Augmentation | None
    supervision: Supervision = "dice_ce"
    reconstruction_weight: float = 0.0
    input_noise: float = 0.0
    keep_originals: bool = False
    normalisation: Literal["min_max", "z_score"] = "min_max"
    input_px: int | None = None
    window_px: tuple[int, int] | None = None
    flips_in_test: bool = False


def unified_harness(
    *,
    image_channels: int,
    width: int = 32,
    stages: int = 5,
    norm: Literal["batch", "instance"] = "batch",
    input_px: int | None = None,
    augmentation: bool = True,
    image_decoder: bool = False,
) -> Harness:
    """The harness of all methods in the unified profile (sources.md S31).

    Args:
        image_channels: Channels of the dataset's images.
        width: Channels of the U-Net's first stage.
        stages: Number of resolutions of the U-Net.
        norm: Normalisation of the U-Net.
        input_px: Side to which images are resized for the network; None keeps their size.
        augmentation: False to turn off the base augmentation.
        image_decoder: True to add the image decoder that some methods need; it is then trained
            with weight 0.5.
    """
    return Harness(
        network=UNet(
            image_channels=image_channels,
            width=width,
            stages=stages,
            norm=norm,
            image_decoder=image_decoder,
        ),
        augmentation=unified_augmentation() if augmentation else None,
        input_px=input_px,
        reconstruction_weight=0.5 if image_decoder else 0.0,
    )


def official_harness(recipe: Recipe, *, image_channels: int, augmentation: bool = True) -> Harness:
    """The harness of the original repository of a method.

    Args:
        recipe: The repository.
        image_channels: Channels of the dataset's images.
        augmentation: False to turn off the recipe's base augmentation.
    """
    build = {"maxstyle_family": _family, "csdg": _csdg, "nnunet": _nnunet}[recipe]
    return build(image_channels, augmentation)


def _family(image_channels: int, augmentation: bool) -> Harness:
    """The harness of AdvNoise, AdvBias, RandConv, MixStyle and MaxStyle (sources.md S32, S33, S34).

    Deviation: tests on whole slices, not on the central 224 px, because the network is fully
    convolutional and scores cover the whole slice. Slices up to 224 px are not cropped in training.
    """
    return Harness(
        network=FCN16(image_channels=image_channels),
        augmentation=family_augmentation() if augmentation else None,
        supervision="ce",
        reconstruction_weight=0.5,
        input_noise=0.05,
        keep_originals=True,
        window_px=(288, 224),
    )


def _csdg(image_channels: int, augmentation: bool) -> Harness:
    """CSDG's harness (sources.md S50, S51)."""
    return Harness(
        network=EfficientUNet(image_channels=image_channels),
        augmentation=csdg_augmentation() if augmentation else None,
        supervision="dice_all_ce",
        input_px=192,
    )


def _nnunet(image_channels: int, augmentation: bool) -> Harness:
    """nnU-Net's 2-D recipe on slices of the dataset's size (sources.md S28, S29).

    Deviation: no foreground oversampling, because every slice has foreground, and no sliding
    window, because a slice is one patch.
    """
    return Harness(
        network=UNet(
            image_channels=image_channels, stages=6, norm="instance", deep_supervision=True
        ),
        augmentation=nnunet_augmentation() if augmentation else None,
        supervision="batch_dice_ce",
        normalisation="z_score",
        flips_in_test=True,
    )
