"""AdvBias: searches the smooth bias field that changes the prediction most and trains on it.

Source: Chen et al., Realistic Adversarial Data Augmentation for MR Image Segmentation, MICCAI 2020;
advchain; sources.md S40, S41.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch
from torch.nn import functional

from desam_model.comparisons.image.image_method import Example, ImageMethod
from desam_model.comparisons.image.intensity import unit
from desam_model.comparisons.image.smooth_field import grid_shape, spline_field
from desam_model.comparisons.image.softmax_losses import divergence
from desam_model.networks.freezing import evaluating

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from desam_model.comparisons.image.harness import Harness

_SOBEL = ((1.0, 0.0, -1.0), (2.0, 0.0, -2.0), (1.0, 0.0, -1.0))


class AdvBias(ImageMethod):
    """A standard pass, consistency under the adversarial bias field, and supervision on it."""

    def __init__(
        self,
        *,
        harness: Harness,
        epsilon: float = 0.4,
        spacing: float = 0.5,
        downscale: int = 4,
        order: int = 3,
        step: float = 1.0,
        iterations: int = 1,
        divergence_weight: float = 1.0,
        contour_weight: float = 0.5,
        space: Literal["log", "linear"] = "log",
        init: Literal["random", "identity"] = "random",
    ) -> None:
        """Builds the method.

        Args:
            harness: Network, augmentation and supervision.
            epsilon: The field is clamped to [1 - epsilon, 1 + epsilon].
            spacing: Distance between control points as a fraction of the image side.
            downscale: The field is computed on an image this many times smaller.
            order: Degree of the spline.
            step: L2 length of an ascent step over the control points of an image, in their space.
            iterations: Number of ascent steps; the length of the k-th is `step / sqrt(k)`.
            divergence_weight: Weight of the KL divergence of the predictions.
            contour_weight: Weight of the difference between the contours of the predictions.
            space: The spline is the logarithm of the field (`log`) or the field minus 1 (`linear`).
            init: Control points before the ascent: uniform in their range, or such that the field
                is 1.

        Raises:
            ValueError: `epsilon` is not in (0, 1).
        """
        super().__init__(harness=harness)
        if not 0 < epsilon < 1:
            raise ValueError(f"epsilon is {epsilon}, expected a number between 0 and 1")
        self.epsilon = epsilon
        self.spacing = spacing
        self.downscale = downscale
        self.order = order
        self.step = step
        self.iterations = iterations
        self.divergence_weight = divergence_weight
        self.contour_weight = contour_weight
        self.space = space
        self.init = init

    def losses(self, example: Example, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Supervised losses, the adversarial divergences, and those of the hard example."""
        standard = self.supervised_pass(example.noisy, example)
        target = standard.logits.detach()
        control = self.search(example.clean, target, generator)
        image = self.field(control, example.clean) * example.clean
        return {
            **standard.parts,
            **self.divergences(target, self.network(image)),
            **self.hard_example_parts(image, example),
        }

    def search(self, image: Tensor, target: Tensor, generator: torch.Generator) -> Tensor:
        """Control points `(B, 1, rows, columns)` of the field after the ascent, in its space."""
        low, high = self._bounds
        control = self.initial_control(image, generator)
        with (
            evaluating(self.network),
            torch.enable_grad(),
            torch.autocast(image.device.type, enabled=False),
        ):
            for iteration in range(1, self.iterations + 1):
                control.requires_grad_(True)
                logits = self.network(self.field(control, image) * image)
                loss = torch.stack(list(self.divergences(target, logits).values())).sum()
                (gradient,) = torch.autograd.grad(loss, control)
                ascent = self.step / math.sqrt(iteration) * unit(gradient)
                control = (control.detach() + ascent).clamp(low, high)
        return control

    def initial_control(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """Control points drawn uniformly from their range, or zeros, which give the field 1."""
        low, high = self._bounds
        rows, columns = grid_shape(_hw(image), self._spacing_px(image))
        if self.init == "identity":
            return image.new_zeros((len(image), 1, rows, columns))
        drawn = torch.rand((len(image), 1, rows, columns), generator=generator)
        return (low + (high - low) * drawn).to(image.device)

    def field(self, control: Tensor, image: Tensor) -> Tensor:
        """The bias field `(B, 1, H, W)` of the control points."""
        spline = spline_field(
            control,
            _hw(image),
            self._spacing_px(image),
            order=self.order,
            downscale=self.downscale,
        )
        field = spline.exp() if self.space == "log" else 1 + spline
        return field.clamp(1 - self.epsilon, 1 + self.epsilon)

    def divergences(self, target: Tensor, logits: Tensor) -> dict[str, Tensor]:
        """Weighted divergences of the logits from the target logits."""
        return {
            "consistency": self.divergence_weight * divergence(target, logits),
            "contour": self.contour_weight * contour_difference(target, logits),
        }

    @property
    def _bounds(self) -> tuple[float, float]:
        if self.space == "linear":
            return -self.epsilon, self.epsilon
        return math.log(1 - self.epsilon), math.log(1 + self.epsilon)

    def _spacing_px(self, image: Tensor) -> tuple[int, int]:
        height, width = _hw(image)
        return max(1, int(height * self.spacing)), max(1, int(width * self.spacing))


def contour_difference(target: Tensor, logits: Tensor) -> Tensor:
    """Mean squared difference of the Sobel gradients of the foreground probabilities, both axes.

    Source: sources.md S41.
    """
    kernel = torch.tensor(_SOBEL, device=logits.device)
    weight = torch.stack([kernel, kernel.T])[:, None]  # (2, 1, 3, 3): along x, along y
    edges = [
        functional.conv2d(maps.float().softmax(dim=1)[:, 1:], weight, padding=1)
        for maps in (target, logits)
    ]
    difference: Tensor = functional.mse_loss(edges[1], edges[0])  # averages over the two axes
    return difference


def _hw(image: Tensor) -> tuple[int, int]:
    return image.shape[-2], image.shape[-1]
