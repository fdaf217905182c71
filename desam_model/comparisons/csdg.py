"""CSDG: transforms the image with random shallow networks (GIN) and blends the results (IPA).

Source: Ouyang et al., Causality-inspired Single-source Domain Generalization for Medical Image
Segmentation, IEEE TMI 2022 (MIT); sources.md S46, S47, S48, S49.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import torch
from torch.nn import functional

from desam_model.comparisons.image.image_method import Example, ImageMethod
from desam_model.comparisons.image.intensity import norm_of, rescale, standardise, unit
from desam_model.comparisons.image.randomness import draw_normal, draw_one
from desam_model.comparisons.image.smooth_field import grid_shape, spline_field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from desam_model.comparisons.image.harness import Harness

_IPA_ORDER = 2


class CSDG(ImageMethod):
    """Supervision on one randomised copy, and consistency of all three copies."""

    def __init__(
        self,
        *,
        harness: Harness,
        gin_layers: int = 4,
        gin_channels: int = 2,
        kernel_sizes: Sequence[int] = (1, 3),
        blend_spacing: float = 0.25,
        consistency_weight: float = 10.0,
        reduction: Literal["elements", "pixels"] = "elements",
        epsilon: float = 0.3,
        downscale: int = 2,
        dice_weight: float = 1.0,
        ce_weight: float = 1.0,
    ) -> None:
        """Builds the method.

        Args:
            harness: Network, augmentation and supervision.
            gin_layers: Number of convolutions of a random network.
            gin_channels: Channels between the convolutions.
            kernel_sizes: Odd sizes from which the kernel size of each layer is drawn.
            blend_spacing: Distance between the control points of the blend map, as a fraction of
                the image side.
            consistency_weight: Weight of the divergence of the copies from their mean.
            reduction: `elements` divides the divergence by pixels and classes, as released;
                `pixels` divides by pixels only, the usual KL (twice as large with two classes).
            epsilon: The blend map has the range [1 - epsilon, 1 + epsilon] before it is rescaled to
                [0, 1], so epsilon has no effect, as in the release (sources.md S47).
            downscale: The blend map is computed on an image this many times smaller.
            dice_weight: Weight of the soft Dice loss in the supervised loss.
            ce_weight: Weight of the cross-entropy in the supervised loss.
        """
        super().__init__(harness=harness)
        self.gin_layers = gin_layers
        self.gin_channels = gin_channels
        self.kernel_sizes = tuple(kernel_sizes)
        self.blend_spacing = blend_spacing
        self.consistency_weight = consistency_weight
        self.reduction = reduction
        self.epsilon = epsilon
        self.downscale = downscale
        self.dice_weight = dice_weight
        self.ce_weight = ce_weight

    def losses(self, example: Example, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Supervised loss of the first copy and the consistency of all three copies."""
        copies = self.randomise(example.noisy, generator)
        features = self.network.encode(torch.cat(copies))
        logits = self.network.decode(features)[0].chunk(len(copies))
        supervised = self.segmentation_loss(logits[0], example.reference).mean()
        return {
            "segmentation": supervised,
            "consistency": self.consistency_weight * consistency(logits, self.reduction),
        }

    @torch.no_grad()
    def randomise(self, image: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Three copies `(B, C, H, W)`: two blended with each other, one from GIN only.

        Deviation: images are z-scored per slice, not per volume, because a batch holds slices. The
        mean and deviation of the slice are then restored, so that training and test images have
        the same scale.
        """
        standardised, mean, deviation = standardise(image)
        transformed = [self.transform(standardised, generator) for _ in range(3)]
        blend = self.blend_map(image, generator)
        copies = (*interpolate(transformed[0], transformed[1], blend), transformed[2])
        return tuple(copy * deviation + mean for copy in copies)

    def transform(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """A z-scored batch transformed by GIN: one random network per image, the norm preserved."""
        network = draw_gin(
            image,
            layers=self.gin_layers,
            channels=self.gin_channels,
            kernel_sizes=self.kernel_sizes,
            generator=generator,
        )
        alpha = torch.rand((len(image), 1, 1, 1), generator=generator).to(image.device)
        mixed = alpha * network.apply(image) + (1 - alpha) * image
        return mixed * norm_of(image) / (norm_of(mixed) + 1e-5)

    def blend_map(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """A smooth random map `(B, 1, H, W)` with minimum 0 and maximum 1 per image.

        Deviation: the map is centred on the image and enlarged by `align_corners=False`. The
        release's lies one pixel further down right, from a small map of one row and column too many
        enlarged by `align_corners=True`; a random map is the same in distribution, and with True
        alone ours would be no nearer to it (sources.md S65).
        """
        height, width = image.shape[-2:]
        spacing = tuple(max(1, int(side * self.blend_spacing)) for side in (height, width))
        rows, columns = grid_shape((height, width), (spacing[0], spacing[1]))
        control = unit(draw_normal((len(image), 1, rows, columns), image, generator))
        field = spline_field(
            control,
            (height, width),
            (spacing[0], spacing[1]),
            order=_IPA_ORDER,
            downscale=self.downscale,
        ).exp()
        return rescale(rescale(field) * 2 * self.epsilon + 1 - self.epsilon)


@dataclass(frozen=True, slots=True)
class GIN:
    """A random convolutional network for each image of a batch.

    Attributes:
        weights: `(B C_out, C_in, k, k)` per layer.
        shifts: `(B C_out,)` per layer.
    """

    weights: tuple[Tensor, ...]
    shifts: tuple[Tensor, ...]

    def apply(self, image: Tensor) -> Tensor:
        """The images `(B, C, H, W)`, each transformed by its own network."""
        batch, _, height, width = image.shape
        maps = image.reshape(1, -1, height, width)  # (1, B C, H, W): one group per image
        with torch.autocast(image.device.type, enabled=False):
            for layer, (weight, shift) in enumerate(zip(self.weights, self.shifts, strict=True)):
                padding = weight.shape[-1] // 2
                maps = functional.conv2d(maps, weight, shift, padding=padding, groups=batch)
                if layer < len(self.weights) - 1:
                    maps = functional.leaky_relu(maps, 0.01)
        return maps.reshape(image.shape)


def draw_gin(
    image: Tensor,
    *,
    layers: int,
    channels: int,
    kernel_sizes: Sequence[int],
    generator: torch.Generator,
) -> GIN:
    """Networks for a batch: kernel sizes per batch, weights and shifts from N(0, 1) per image.

    Deviation: the image keeps its number of channels; the release repeats grey images to three.
    """
    batch, image_channels = image.shape[:2]
    widths = [image_channels, *[channels] * (layers - 1), image_channels]
    weights, shifts = [], []
    for c_in, c_out in pairwise(widths):
        size = draw_one(kernel_sizes, generator)
        weights.append(draw_normal((batch * c_out, c_in, size, size), image, generator))
        shifts.append(draw_normal((batch * c_out,), image, generator))
    return GIN(weights=tuple(weights), shifts=tuple(shifts))


def interpolate(first: Tensor, second: Tensor, blend: Tensor) -> tuple[Tensor, Tensor]:
    """Both images blended with a map and with its complement; their sum does not change."""
    return blend * first + (1 - blend) * second, (1 - blend) * first + blend * second


def consistency(all_logits: Sequence[Tensor], reduction: Literal["elements", "pixels"]) -> Tensor:
    """KL(mean p || p_i), averaged over the copies; 0 for equal copies. The mean is not detached.

    Source: sources.md S49.
    """
    logs = torch.stack([logits.float().log_softmax(dim=1) for logits in all_logits])
    mean = logs.exp().mean(dim=0)
    log_mean = mean.clamp_min(1e-8).log()
    elementwise = mean * (log_mean - logs)  # (copies, B, 2, H, W)
    per_pixel = elementwise.sum(dim=2).mean()
    return per_pixel / logs.shape[2] if reduction == "elements" else per_pixel
