"""What surrounds an image method: network, base augmentation, supervision, normalisation.

The unified harness is the same for every method, so that a table compares methods and nothing
else; the official ones follow each method's own repository.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from desam_model.augmentation import Augmentation, unified_augmentation
from desam_model.networks.unet import UNet

if TYPE_CHECKING:
    from desam_model.networks.base import SegmentationNetwork

Supervision = Literal["dice_ce", "ce"]
"""Supervised loss: foreground Dice + cross-entropy (nnU-Net), or cross-entropy alone."""


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
    """

    network: SegmentationNetwork
    augmentation: Augmentation | None
    supervision: Supervision = "dice_ce"
    reconstruction_weight: float = 0.0
    input_noise: float = 0.0
    keep_originals: bool = False


def unified_harness(
    *,
    image_channels: int,
    width: int = 32,
    stages: int = 5,
    norm: Literal["batch", "instance"] = "batch",
    augmentation: bool = True,
    image_decoder: bool = False,
) -> Harness:
    """The harness that every row of the unified profile shares (`methods.md` 0.3).

    Args:
        image_channels: Channels of the dataset's images.
        width: Channels of the U-Net's first stage.
        stages: Resolutions of the U-Net.
        norm: Its normalisation.
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
        reconstruction_weight=0.5 if image_decoder else 0.0,
    )
