"""MixStyle: mixes the feature statistics of the images in a batch, in shallow layers.

Source: Zhou et al., Domain Generalization with MixStyle, ICLR 2021 (MIT); sources.md S44.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from desam_model.comparisons.image.image_method import Example, ImageMethod
from desam_model.comparisons.image.randomness import draw_beta, draw_uniform
from desam_model.networks.freezing import frozen_batch_norm

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from torch import Tensor

    from desam_model.comparisons.image.harness import Harness


class MixStyle(ImageMethod):
    """A standard pass and a second pass in which the styles of shallow features are mixed."""

    def __init__(
        self,
        *,
        harness: Harness,
        probability: float = 0.5,
        alpha: float = 0.1,
        eps: float = 1e-6,
        layers: Collection[int] = (1, 2, 3),
    ) -> None:
        """Builds the method.

        Args:
            harness: Network, augmentation and supervision.
            probability: Probability that a layer mixes, drawn per batch and layer.
            alpha: Parameter of Beta(alpha, alpha), from which the mixing weights are drawn.
            eps: Added to the variance.
            layers: Encoder stages after which styles are mixed; 1 is the finest.
        """
        super().__init__(harness=harness)
        self.probability = probability
        self.alpha = alpha
        self.eps = eps
        self.layers = frozenset(layers)

    def losses(self, example: Example, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Supervised losses of the standard pass and of the mixed one."""
        parts = dict(self.supervised_pass(example.noisy, example).parts)
        with frozen_batch_norm(self.network):
            features = self.network.encode(
                example.noisy, lambda index, maps: self.mix(index, maps, generator)
            )
            logits = self.network.decode(features)[0]
            parts.update(self.supervise(logits, features, example, prefix="mixed_"))
        return parts

    def mix(self, index: int, features: Tensor, generator: torch.Generator) -> Tensor:
        """Output of an encoder stage; with `probability`, a stage in `layers` mixes its styles."""
        if index + 1 not in self.layers or draw_uniform(0, 1, generator) >= self.probability:
            return features
        weight = draw_beta(self.alpha, len(features), features, generator)
        order = torch.randperm(len(features), generator=generator).to(features.device)
        return mix_statistics(features, weight, order, self.eps)


def mix_statistics(features: Tensor, weight: Tensor, order: Tensor, eps: float) -> Tensor:
    """Features `(B, C, H, W)` with channel means and standard deviations mixed between images.

    Args:
        features: Gradients flow through the normalised values only.
        weight: `(B, 1, 1, 1)` in [0, 1], the weight of the image's own statistics.
        order: `(B,)`, index of the image that each image is mixed with.
        eps: Added to the variance.
    """
    values = features.float()
    mean = values.mean(dim=(2, 3), keepdim=True).detach()
    deviation = (values.var(dim=(2, 3), keepdim=True) + eps).sqrt().detach()
    mixed_mean = weight * mean + (1 - weight) * mean[order]
    mixed_deviation = weight * deviation + (1 - weight) * deviation[order]
    return ((values - mean) / deviation * mixed_deviation + mixed_mean).to(features.dtype)
