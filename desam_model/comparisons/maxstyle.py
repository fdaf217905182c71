"""MaxStyle: searches the image style with the worst segmentation and trains on it.

Source: Chen et al., MaxStyle: Adversarial Style Composition for Robust Medical Image Segmentation,
MICCAI 2022; sources.md S45.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from desam_model.comparisons.image.image_method import Example, ImageMethod
from desam_model.comparisons.image.randomness import draw_beta, draw_normal, draw_uniform
from desam_model.comparisons.image.softmax_losses import cross_entropy
from desam_model.networks.freezing import frozen_batch_norm, frozen_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from desam_model.comparisons.image.harness import Harness
    from desam_model.networks.base import Features

_EPS = 1e-6


class MaxStyle(ImageMethod):
    """A standard pass, and supervision on the image decoded with the hardest style."""

    needs_image_decoder: ClassVar[bool] = True

    def __init__(
        self,
        *,
        harness: Harness,
        probability: float = 0.5,
        iterations: int = 5,
        lr: float = 0.1,
        alpha: float = 0.1,
        style_layers: int = 3,
        mix: bool = True,
        noise: bool = True,
        mix_learnable: bool = True,
        noise_learnable: bool = True,
    ) -> None:
        """Builds the method.

        Args:
            harness: Network with an image decoder, augmentation and supervision.
            probability: Probability that a style layer is active, drawn per batch and layer.
            iterations: Number of gradient ascent steps on the style.
            lr: Learning rate of the ascent (Adam).
            alpha: Parameter of Beta(alpha, alpha), from which the mixing weights are drawn.
            style_layers: Number of style layers: the last outputs of the image decoder, including
                the image.
            mix: True to mix the styles of the images in a batch.
            noise: True to add Gaussian noise to the styles.
            mix_learnable: True if the ascent optimises the mixing weights.
            noise_learnable: True if the ascent optimises the noise.

        Raises:
            ValueError: The image decoder has fewer outputs than `style_layers`.
        """
        super().__init__(harness=harness)
        outputs = len(harness.network.style_channels)
        if not 1 <= style_layers <= outputs:
            raise ValueError(f"style_layers is {style_layers}, expected 1 to {outputs}")
        self.probability = probability
        self.iterations = iterations
        self.lr = lr
        self.alpha = alpha
        self.first_layer = outputs - style_layers
        self.mix = mix
        self.noise = noise
        self.mix_learnable = mix_learnable
        self.noise_learnable = noise_learnable

    def losses(self, example: Example, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Supervised losses of the standard pass and of the image with the hardest style."""
        standard = self.supervised_pass(example.noisy, example)
        image = self.hardest_style(standard.features, example.reference, generator)
        return {**standard.parts, **self.hard_example_parts(image, example)}

    def hardest_style(
        self, features: Features, reference: Tensor, generator: torch.Generator
    ) -> Tensor:
        """The image `(B, C, H, W)` decoded with the style after the ascent, detached."""
        # start from random styles
        detached = type(features)(code=features.code.detach(), skips=(), image_hw=features.image_hw)
        styles = self.draw_styles(len(features.code), features.code, generator)

        def restyle(index: int, maps: Tensor) -> Tensor:
            return styles[index](maps) if index in styles else maps

        # gradient ascent on the styles, with fixed network weights
        parameters = [p for style in styles.values() for p in style.parameters]
        steps = self.iterations if parameters else 0
        with frozen_batch_norm(self.network), frozen_weights(self.network), torch.enable_grad():
            optimizer = torch.optim.Adam(parameters, lr=self.lr) if parameters else None
            for _ in range(steps):
                image = self.network.reconstruct(detached, restyle)
                loss = -cross_entropy(self.network(image), reference).mean()
                gradients = torch.autograd.grad(loss, parameters)
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.grad = gradient
                assert optimizer is not None
                optimizer.step()
            # decode once more with the final styles
            return self.network.reconstruct(detached, restyle).detach()

    def draw_styles(self, batch: int, like: Tensor, generator: torch.Generator) -> dict[int, Style]:
        """A new random style for each active layer, by the index of the image decoder's hook."""
        styles = {}
        for index in range(self.first_layer, len(self.network.style_channels)):
            if draw_uniform(0, 1, generator) >= self.probability:
                continue
            shape = (batch, self.network.style_channels[index], 1, 1)
            styles[index] = Style(
                order=draw_other_order(batch, generator).to(like.device),
                weight=draw_beta(self.alpha, batch, like, generator) if self.mix else None,
                scale_noise=draw_normal(shape, like, generator) if self.noise else None,
                shift_noise=draw_normal(shape, like, generator) if self.noise else None,
                mix_learnable=self.mix_learnable,
                noise_learnable=self.noise_learnable,
            )
        return styles


class Style:
    """Mixed and shifted channel statistics for the maps `(B, C, H, W)` of one layer.

    The spread of the statistics over the batch is computed at the first call and then reused, as in
    the release.

    Args:
        order: `(B,)`, index of the image that each image is mixed with.
        weight: `(B, 1, 1, 1)`, weight of the other image's statistics, clamped to [0, 1]; None for
            no mixing.
        scale_noise: `(B, C, 1, 1)`, noise in units of the spread of standard deviations; None for
            no noise.
        shift_noise: `(B, C, 1, 1)`, noise in units of the spread of means; None for no noise.
        mix_learnable: True if the ascent optimises the weight.
        noise_learnable: True if the ascent optimises the noise.
    """

    def __init__(
        self,
        *,
        order: Tensor,
        weight: Tensor | None,
        scale_noise: Tensor | None,
        shift_noise: Tensor | None,
        mix_learnable: bool = True,
        noise_learnable: bool = True,
    ) -> None:
        self.order = order
        self.weight = _learnable(weight) if mix_learnable else weight
        self.scale_noise = _learnable(scale_noise) if noise_learnable else scale_noise
        self.shift_noise = _learnable(shift_noise) if noise_learnable else shift_noise
        self._spread: tuple[Tensor, Tensor] | None = None

    @property
    def parameters(self) -> list[Tensor]:
        """The tensors that the ascent optimises."""
        tensors = (self.weight, self.scale_noise, self.shift_noise)
        return [p for p in tensors if p is not None and p.requires_grad]

    def __call__(self, maps: Tensor) -> Tensor:
        """The maps with the new style."""
        # channel statistics of each image, and their spread over the batch
        values = maps.float()
        mean = values.mean(dim=(2, 3), keepdim=True).detach()
        deviation = (values.var(dim=(2, 3), keepdim=True) + _EPS).sqrt().detach()
        if self._spread is None:
            self._spread = _spread(deviation), _spread(mean)
        new_mean, new_deviation = mean, deviation
        # mix the statistics with those of another image
        if self.weight is not None:
            weight = self.weight.clamp(0, 1)
            new_deviation = (1 - weight) * deviation + weight * deviation[self.order]
            new_mean = (1 - weight) * mean + weight * mean[self.order]
        # add noise
        if self.scale_noise is not None and self.shift_noise is not None:
            # it may become negative and invert the contrast; the release does not clamp it either
            new_deviation = new_deviation + self.scale_noise * self._spread[0]
            new_mean = new_mean + self.shift_noise * self._spread[1]
        return ((values - mean) / deviation * new_deviation + new_mean).to(maps.dtype)


def draw_other_order(n: int, generator: torch.Generator) -> Tensor:
    """A permutation `(n,)` other than the identity, if there is one."""
    order = torch.randperm(n, generator=generator)
    identity = torch.arange(n)
    return order.roll(1) if n > 1 and torch.equal(order, identity) else order


def _learnable(values: Tensor | None) -> Tensor | None:
    return None if values is None else values.clone().requires_grad_(True)


def _spread(statistics: Tensor) -> Tensor:
    """Standard deviation over the batch `(1, C, 1, 1)`; zero for a batch of one."""
    return statistics.std(dim=0, keepdim=True, correction=1 if len(statistics) > 1 else 0)
