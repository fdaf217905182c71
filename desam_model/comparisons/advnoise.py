"""AdvNoise: searches the small noise that changes the prediction most and trains on it.

Source: Miyato et al., Virtual Adversarial Training, TPAMI 2018; Chen et al., advchain;
sources.md S38, S39, S63.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from desam_model.comparisons.image.image_method import Example, ImageMethod
from desam_model.comparisons.image.intensity import rescale_to, unit
from desam_model.comparisons.image.randomness import draw_normal
from desam_model.comparisons.image.softmax_losses import divergence
from desam_model.networks.freezing import evaluating

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from desam_model.comparisons.image.harness import Harness


class AdvNoise(ImageMethod):
    """A standard pass, consistency with the adversarial image, and supervision on it."""

    def __init__(
        self,
        *,
        harness: Harness,
        epsilon: float = 1.0,
        xi: float = 0.1,
        iterations: int = 1,
        divergence_weight: float = 1.0,
        rescale_in_search: bool = False,
    ) -> None:
        """Builds the method.

        Args:
            harness: Network, augmentation and supervision.
            epsilon: L2 norm of the noise over a whole image with intensities in [0, 1].
            xi: Step of the finite difference that determines the direction.
            iterations: Number of power iterations.
            divergence_weight: Weight of the adversarial divergence in the loss.
            rescale_in_search: True to rescale the noisy image to its original range in the search
                too, as released.
        """
        super().__init__(harness=harness)
        self.epsilon = epsilon
        self.xi = xi
        self.iterations = iterations
        self.divergence_weight = divergence_weight
        self.rescale_in_search = rescale_in_search

    def losses(self, example: Example, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Supervised losses, the adversarial divergence, and those of the hard example."""
        standard = self.supervised_pass(example.noisy, example)
        target = standard.logits.detach()
        direction = self.search(example.clean, target, generator)
        image = self.perturb(example.clean, direction)
        return {
            **standard.parts,
            "consistency": self.divergence_weight * divergence(target, self.network(image)),
            **self.hard_example_parts(image, example),
        }

    def search(self, image: Tensor, target: Tensor, generator: torch.Generator) -> Tensor:
        """Unit noise `(B, C, H, W)` in the direction that changes the prediction fastest.

        The network is in eval mode and is not changed. An image without gradient keeps its random
        direction.

        Args:
            image: `(B, C, H, W)` in [0, 1].
            target: Logits `(B, 2, H, W)`.
            generator: CPU generator of the initial direction.
        """
        direction = unit(draw_normal(image.shape, image, generator))
        with (
            evaluating(self.network),
            torch.enable_grad(),
            torch.autocast(image.device.type, enabled=False),
        ):
            for _ in range(self.iterations):
                direction.requires_grad_(True)
                noisy = image + self.xi * direction
                # Deviation: the default does not rescale here, as the release does; through the
                # rescaling, the gradient is nearly all in the brightest and the darkest pixel, so
                # the search would find a contrast instead of a noise (sources.md S63)
                if self.rescale_in_search:
                    noisy = rescale_to(noisy, image)
                logits = self.network(noisy)
                (gradient,) = torch.autograd.grad(divergence(target, logits), direction)
                direction = direction.detach()
                is_flat = gradient.abs().amax(dim=(1, 2, 3), keepdim=True) == 0
                direction = torch.where(is_flat, direction, unit(gradient))
        return direction

    def perturb(self, image: Tensor, direction: Tensor) -> Tensor:
        """The image with noise of norm `epsilon`, rescaled to its original range (as released)."""
        return rescale_to(image + self.epsilon * direction, image)
