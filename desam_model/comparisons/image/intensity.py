"""Intensity operations on image batches `(B, C, H, W)`, each per image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

_AXES = (1, 2, 3)


def rescale(image: Tensor) -> Tensor:
    """Each image rescaled to [0, 1], float32; a constant image becomes 0."""
    image = image.float()
    low, high = range_of(image)
    return (image - low) / (high - low).clamp_min(1e-8)


def rescale_to(image: Tensor, other: Tensor) -> Tensor:
    """Each image rescaled to the range of the image at the same index of another batch."""
    low, high = range_of(other)
    return rescale(image) * (high - low) + low


def range_of(image: Tensor) -> tuple[Tensor, Tensor]:
    """Lowest and highest value of each image, `(B, 1, 1, 1)`.

    A gradient goes to one lowest and one highest pixel, also among ties (sources.md S63).
    """
    pixels = image.flatten(1)
    low, high = pixels.min(dim=1).values, pixels.max(dim=1).values
    return low[:, None, None, None], high[:, None, None, None]


def standardise(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Images with mean 0 and standard deviation 1, and the original mean and deviation."""
    mean = image.mean(dim=_AXES, keepdim=True)
    deviation = image.std(dim=_AXES, keepdim=True).clamp_min(1e-8)
    return (image - mean) / deviation, mean, deviation


def norm_of(image: Tensor) -> Tensor:
    """L2 norm of each image over all its channels and pixels, `(B, 1, 1, 1)`."""
    norm: Tensor = torch.linalg.vector_norm(image, dim=_AXES, keepdim=True)
    return norm


def unit(image: Tensor) -> Tensor:
    """Each image divided by its norm; an image of zeros stays zero and does not become nan."""
    return image / norm_of(image).clamp_min(torch.finfo(image.dtype).tiny)
