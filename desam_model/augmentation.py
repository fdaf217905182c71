"""Base augmentation of the image methods: kornia's transforms, seeded by the trial's generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import kornia.augmentation as kornia_augmentation
import torch
from kornia.constants import DataKey, Resample

from desam_model.randomness import seeded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

_MASK = {DataKey.MASK: {"resample": Resample.NEAREST, "align_corners": False}}


class Augmentation:
    """Random transforms of an image and, where they move pixels, of its reference.

    Not a module, on purpose: moving a kornia transform to a GPU makes it draw its parameters from
    that GPU's global state, which no generator of ours owns.
    """

    def __init__(self, geometric: Sequence[nn.Module], intensity: Sequence[nn.Module]) -> None:
        """Keeps kornia transforms: `geometric` ones move both, `intensity` ones the image alone."""
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
            image: In [0, 1].
            reference: 0 and 1; stays so (nearest neighbour, zeros from outside).
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

    Source: `methods.md` 0.4, rows "geometric aug" and "intensity aug".
    Deviation: no elastic deformation in the unified harness; it costs as much as a training step of
    the small network on a CPU, and the same holds for every row.
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
