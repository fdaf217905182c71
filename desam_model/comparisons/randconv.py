"""RandConv: trains on images filtered by random convolutions, with consistent predictions.

Source: Xu et al., Robust and Generalizable Visual Representation Learning via Random Convolutions,
ICLR 2021; sources.md S42, S43. Written from the paper only, because its repository has no licence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch.nn import functional

from desam_model.comparisons.image.image_method import Example, ImageMethod
from desam_model.comparisons.image.intensity import rescale
from desam_model.comparisons.image.randomness import draw_normal, draw_one, draw_uniform

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from desam_model.comparisons.image.harness import Harness

KERNEL_SIZES = (1, 3, 5, 7)
"""Kernel sizes of both published implementations (sources.md S42)."""


class RandConv(ImageMethod):
    """Supervision on one randomised copy, and consistency of all copies."""

    def __init__(
        self,
        *,
        harness: Harness,
        kernel_sizes: Sequence[int] = KERNEL_SIZES,
        variant: Literal["mix", "image"] = "mix",
        keep_probability: float = 0.5,
        copies: int = 3,
        consistency_weight: float = 10.0,
        supervise_augmented: bool = True,
    ) -> None:
        """Builds the method.

        Args:
            harness: Network, augmentation and supervision.
            kernel_sizes: Odd sizes from which the filter size of a copy is drawn.
            variant: `mix` blends the filtered and the original image; `image` uses the filtered
                image, or the original with `keep_probability`.
            keep_probability: Used by `image` only; `mix` ignores it, as in both repositories.
            copies: Number of randomised copies of each batch, at least 2.
            consistency_weight: Weight of the divergence of the copies from their mean.
            supervise_augmented: True to supervise the first copy, as the authors do; False to
                supervise the original image, as MaxStyle's repository does.

        Raises:
            ValueError: A kernel size is even, or there are fewer than 2 copies.
        """
        super().__init__(harness=harness)
        if any(size % 2 == 0 for size in kernel_sizes):
            raise ValueError(f"kernel_sizes are {tuple(kernel_sizes)}; all must be odd")
        if copies < 2:
            raise ValueError(f"copies is {copies}; consistency needs at least 2")
        self.kernel_sizes = tuple(kernel_sizes)
        self.variant = variant
        self.keep_probability = keep_probability
        self.copies = copies
        self.consistency_weight = consistency_weight
        self.supervise_augmented = supervise_augmented

    def losses(self, example: Example, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Supervised losses and the consistency of the randomised copies."""
        # supervision of the original image, if chosen
        parts: dict[str, Tensor] = {}
        if not self.supervise_augmented:
            parts.update(self.supervised_pass(example.noisy, example).parts)
        # predictions of all copies
        all_logits = []
        for copy in range(self.copies):
            features = self.network.encode(self.randomise(example.noisy, generator))
            logits = self.network.decode(features)[0]
            all_logits.append(logits)
            if self.supervise_augmented and copy == 0:
                parts.update(self.supervise(logits, features, example))
            elif not self.supervise_augmented:
                _add(parts, self.reconstruction(features, example, "copies_"), 1 / self.copies)
        parts["consistency"] = self.consistency_weight * consistency(all_logits)
        return parts

    @torch.no_grad()
    def randomise(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """A randomised copy `(B, C, H, W)` in [0, 1]; one filter and one alpha per batch."""
        size = draw_one(self.kernel_sizes, generator)
        weight = draw_filter(image, size, generator)
        alpha = draw_uniform(0, 1, generator)
        if self.variant == "image":
            alpha = 1.0 if alpha < self.keep_probability else 0.0
        return rescale(random_convolution(image, weight, alpha))


def draw_filter(image: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """A linear filter `(C, C, size, size)` with weights from N(0, 1 / (C size^2)), no bias."""
    channels = image.shape[1]
    weight = draw_normal((channels, channels, size, size), image, generator)
    scale: float = size * channels**0.5
    return weight / scale


def random_convolution(image: Tensor, weight: Tensor, alpha: float) -> Tensor:
    """`alpha` times the image plus `1 - alpha` times the filtered image, in the image's shape."""
    with torch.autocast(image.device.type, enabled=False):
        filtered: Tensor = functional.conv2d(image, weight, padding=weight.shape[-1] // 2)
    return alpha * image + (1 - alpha) * filtered


def consistency(all_logits: Sequence[Tensor]) -> Tensor:
    """KL(p_i || mean p), averaged over copies and pixels; 0 for equal copies."""
    probabilities = torch.stack([logits.float().softmax(dim=1) for logits in all_logits])
    log_mean = probabilities.mean(dim=0).clamp(1e-8, 1).log()
    log_each = torch.stack([logits.float().log_softmax(dim=1) for logits in all_logits])
    mean: Tensor = (probabilities * (log_each - log_mean)).sum(dim=2).mean()
    return mean


def _add(parts: dict[str, Tensor], more: Mapping[str, Tensor], weight: float) -> None:
    for name, part in more.items():
        parts[name] = parts[name] + weight * part if name in parts else weight * part
