"""What surrounds an image method: network, base augmentation, supervision, normalisation.

The unified harness is the same for every method, so that a table compares methods and nothing
else; the official ones follow each method's own repository.
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
"""Supervised loss: cross-entropy, alone or with a soft Dice: of the foreground per slice, of all
classes per slice (CSDG), or of the foreground over the batch (nnU-Net)."""

Recipe = Literal["maxstyle_family", "csdg", "nnunet"]
"""Whose repository an official harness follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Harness:
    """The parts that an image method is built around.

    Attributes:
        network: Segments, and reconstructs where it has an image decoder.
        augmentation: Base augmentation of every training batch; None for none.
        supervision: The supervised loss.
        reconstruction_weight: Of the image decoder's mean squared error; 0 where it has none.
        input_noise: Standard deviation of Gaussian noise on the standard pass's input, in the
            image's [0, 1].
        keep_originals: Each batch also holds its slices without augmentation.
        normalisation: Of what the network sees, per image.
        input_px: Side that images are resized to for the network; None keeps theirs.
        window_px: Sides (padded, cropped): larger training slices are padded to the first and
            cut to a random square of the second; None trains on whole slices. Test slices are
            always whole.
        flips_in_test: Predictions are means over the image's four mirror images.
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
    """The harness that every row of the unified profile shares (sources.md S31).

    Args:
        image_channels: Channels of the dataset's images.
        width: Channels of the U-Net's first stage.
        stages: Resolutions of the U-Net.
        norm: Its normalisation.
        input_px: Side that images are resized to for the network; None keeps theirs.
        augmentation: Switches the base augmentation.
        image_decoder: Adds the decoder that a method's own algorithm needs; it is then trained
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
    """The harness of a method's own repository.

    Args:
        recipe: Whose.
        image_channels: Channels of the dataset's images.
        augmentation: Switches the recipe's base augmentation.
    """
    build = {"maxstyle_family": _family, "csdg": _csdg, "nnunet": _nnunet}[recipe]
    return build(image_channels, augmentation)


def _family(image_channels: int, augmentation: bool) -> Harness:
    """The harness of AdvNoise, AdvBias, RandConv, MixStyle and MaxStyle (sources.md S32, S33, S34).

    Deviation: tests on whole slices, not on the centre 224 px; the network is fully convolutional,
    and the scorer counts the whole slice. Slices of up to 224 px are not cropped in training.
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

    Deviation: no foreground oversampling, since every slice holds foreground, and no sliding
    window, since a slice is one patch.
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
