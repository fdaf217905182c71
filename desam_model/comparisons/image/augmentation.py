"""Base augmentation of the image methods: kornia transforms with the trial's random generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import kornia.augmentation as kornia_augmentation
import torch
from kornia.constants import DataKey, Resample

from desam_model.comparisons.image.randomness import seeded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

_MASK = {DataKey.MASK: {"resample": Resample.NEAREST, "align_corners": False}}


class Augmentation:
    """Random transforms of an image and, for geometric ones, of its reference.

    This is not an `nn.Module`, because a kornia transform on a GPU draws its parameters from the
    global random state of the GPU, which our generator does not control.
    """

    def __init__(self, geometric: Sequence[nn.Module], intensity: Sequence[nn.Module]) -> None:
        """`geometric` kornia transforms change image and reference, `intensity` only the image."""
        self._geometric = (
            kornia_augmentation.AugmentationSequential(
                *geometric, data_keys=[DataKey.INPUT, DataKey.MASK], extra_args=_MASK
            )
            if geometric
            else None
        )
        self._intensity = kornia_augmentation.AugmentationSequential(
            *intensity, data_keys=["input"]
        )

    @torch.no_grad()
    def __call__(
        self, image: Tensor, reference: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Transformed copies of an image `(B, C, H, W)` and its reference `(B, 1, H, W)`.

        Args:
            image: Values in [0, 1].
            reference: Values 0 and 1, also after the transform (nearest neighbour, zero padding).
            generator: CPU generator, the only source of randomness.
        """
        device_type = image.device.type
        with seeded(generator), torch.autocast(device_type, enabled=False):
            image, reference = image.float(), reference.float()
            if self._geometric is not None:
                image, reference = self._geometric(image, reference)
            return self._intensity(image), reference


def unified_augmentation() -> Augmentation:
    """Rotation +-15 degrees, shift 10 %, zoom 0.8-1.2, flips, contrast and brightness.

    Source: sources.md S34.
    Deviation: the unified harness has no elastic deformation, for any method, because on a CPU it
    takes as long as a training step of the small network.
    """
    return Augmentation(_affine_and_flips(), _contrast_and_brightness())


def _affine_and_flips() -> list[nn.Module]:
    return [
        kornia_augmentation.RandomAffine(
            degrees=15.0, translate=(0.1, 0.1), scale=(0.8, 1.2), p=1.0
        ),
        kornia_augmentation.RandomHorizontalFlip(p=0.5),
        kornia_augmentation.RandomVerticalFlip(p=0.5),
    ]


def _contrast_and_brightness() -> list[nn.Module]:
    return [
        kornia_augmentation.RandomContrast((0.8, 1.2), p=0.5),
        kornia_augmentation.RandomBrightness((0.9, 1.1), p=0.5),
    ]


def family_augmentation() -> Augmentation:
    """The augmentation of the MaxStyle family: the unified one plus elastic deformation.

    Source: sources.md S34: alpha U(1.5, 2) H px, sigma 0.75 U(0.1, 0.2) H.
    Deviation: alpha and sigma are fixed at the middle of their ranges for 256 px, because kornia
    does not draw them, and the Gaussian is truncated at 127 px.
    """
    elastic = kornia_augmentation.RandomElasticTransform(
        kernel_size=(127, 127), sigma=(29.0, 29.0), alpha=(3.5, 3.5), align_corners=False, p=0.5
    )
    return Augmentation([*_affine_and_flips(), elastic], _contrast_and_brightness())


def csdg_augmentation() -> Augmentation:
    """CSDG's base augmentation.

    Source: sources.md S51: rotation and shear +-20 degrees, shift 15 of 192 px, scale 0.5-1.5,
    elastic alpha 20 sigma 5, gamma 0.2-1.8, noise 0.15, contrast 0.6-1.5, brightness +-10 of 255.
    Deviation: intensity transforms act on [0, 1], so the noise for z-scored images is divided by 4.
    """
    geometric = [
        kornia_augmentation.RandomAffine(
            degrees=20.0, translate=(0.08, 0.08), scale=(0.5, 1.5), shear=20.0, p=1.0
        ),
        kornia_augmentation.RandomElasticTransform(
            kernel_size=(31, 31), sigma=(5.0, 5.0), alpha=(0.2, 0.2), align_corners=False, p=1.0
        ),
    ]
    intensity = [
        kornia_augmentation.RandomGamma((0.2, 1.8), p=1.0),
        kornia_augmentation.RandomGaussianNoise(std=0.15 / 4, p=1.0),
        kornia_augmentation.RandomContrast((0.6, 1.5), p=1.0),
        kornia_augmentation.RandomBrightness((0.96, 1.04), p=1.0),
    ]
    return Augmentation(geometric, intensity)


def nnunet_augmentation() -> Augmentation:
    """nnU-Net's 2-D augmentation, as far as kornia provides it.

    Source: nnU-Net v2's default trainer, from memory (sources.md S29).
    Deviation: no simulation of low resolution; intensity transforms act on [0, 1] before z-scoring.
    """
    geometric = [
        kornia_augmentation.RandomAffine(degrees=180.0, scale=(0.7, 1.4), p=0.4),
        kornia_augmentation.RandomHorizontalFlip(p=0.5),
        kornia_augmentation.RandomVerticalFlip(p=0.5),
    ]
    intensity = [
        kornia_augmentation.RandomGaussianNoise(std=0.05, p=0.1),
        kornia_augmentation.RandomGaussianBlur((7, 7), (0.5, 1.0), p=0.2),
        kornia_augmentation.RandomContrast((0.75, 1.25), p=0.3),
        kornia_augmentation.RandomGamma((0.7, 1.5), p=0.3),
    ]
    return Augmentation(geometric, intensity)
