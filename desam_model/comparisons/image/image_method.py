"""Base class of the image methods: preparation, standard pass, validation and prediction."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn import functional

from desam_model.comparisons.image.intensity import rescale, standardise
from desam_model.comparisons.image.softmax_losses import (
    at_scale_of,
    batch_dice,
    cross_entropy,
    soft_dice,
)
from desam_model.method import SegmentationMethod
from desam_model.networks.freezing import frozen_batch_norm
from desam_model.types import Losses, Prediction, Reads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from desam_model.comparisons.image.harness import Harness
    from desam_model.networks.base import Features
    from desam_model.types import Batch, PredictionSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A training batch after the base augmentation.

    Attributes:
        clean: `(B, C, H, W)` float32 in [0, 1], each slice rescaled; the reconstruction target.
        noisy: The same with the harness's input noise and normalised; input of the standard pass.
        reference: `(B, 1, H, W)` float32, values 0 and 1.
    """

    clean: Tensor
    noisy: Tensor
    reference: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """Result of a supervised forward pass.

    Attributes:
        logits: `(B, 2, H, W)`.
        features: Features of the encoder.
        parts: Weighted supervised losses.
    """

    logits: Tensor
    features: Features
    parts: Mapping[str, Tensor]


class ImageMethod(SegmentationMethod):
    """A method with one image network; a subclass only defines its training losses."""

    reads: ClassVar[frozenset[Reads]] = frozenset({Reads.IMAGE})
    needs_image_decoder: ClassVar[bool] = False
    dice_weight: float = 1.0
    ce_weight: float = 1.0
    """Weights of the terms of the supervised loss; a method may set the weights of its paper."""

    def __init__(self, *, harness: Harness) -> None:
        """Builds the method.

        Args:
            harness: Network, augmentation and supervision.

        Raises:
            ValueError: The method needs an image decoder, but the network has none.
        """
        super().__init__()
        if self.needs_image_decoder and not harness.network.has_image_decoder:
            raise ValueError(
                f"{type(self).__name__} needs a network with an image decoder; build the harness"
                " with image_decoder=True"
            )
        self.network = harness.network
        self.harness = harness

    @abstractmethod
    def losses(self, example: Example, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Named and weighted terms of the training loss, scalars with gradient."""

    def training_loss(self, batch: Batch, generator: torch.Generator) -> Losses:
        """See `SegmentationMethod.training_loss`; the batch is not modified."""
        parts = self.losses(self.prepare(batch, generator), generator)
        total = torch.stack(list(parts.values())).sum()
        return Losses(total=total, parts={name: part.detach() for name, part in parts.items()})

    def prepare(self, batch: Batch, generator: torch.Generator) -> Example:
        """The batch after base augmentation, rescaling and input noise (sources.md S35)."""
        # resize and crop
        original, original_reference = self._at_input_size(
            rescale(image_of(batch)), batch.reference
        )
        if self.harness.window_px is not None:
            original, original_reference = random_window(
                original, original_reference, *self.harness.window_px, generator
            )
            original = rescale(original)
        # augment, and keep the originals too if the harness does
        image, reference = original, original_reference
        if self.harness.augmentation is not None:
            image, reference = self.harness.augmentation(image, reference, generator)
            image = rescale(image)
        if self.harness.keep_originals:
            image = torch.cat([image, original])
            reference = torch.cat([reference, original_reference])
        # add input noise
        noisy = image
        if self.harness.input_noise > 0:
            noise = torch.randn(image.shape, generator=generator).to(image.device)
            noisy = (image + self.harness.input_noise * noise).clamp(0, 1)
        return Example(clean=image, noisy=self.normalise(noisy), reference=reference)

    def normalise(self, image: Tensor) -> Tensor:
        """Network input of images in [0, 1]."""
        return image if self.harness.normalisation == "min_max" else standardise(image)[0]

    def supervised_pass(self, image: Tensor, example: Example, prefix: str = "") -> Pass:
        """The network on an image that shows the example's reference, with its losses."""
        features = self.network.encode(image)
        finest, *coarser = self.network.decode(features)
        parts = self.supervise(finest, features, example, prefix)
        if coarser:
            parts[f"{prefix}segmentation"] = self._deeply_supervised([finest, *coarser], example)
        return Pass(logits=finest, features=features, parts=parts)

    def _deeply_supervised(self, maps: Sequence[Tensor], example: Example) -> Tensor:
        """The loss over all scales; each coarser scale has half the weight, with sum one."""
        losses = [
            self.segmentation_loss(logits, at_scale_of(logits, example.reference)).mean() / 2**level
            for level, logits in enumerate(maps)
        ]
        return torch.stack(losses).sum() / (2 - 2.0 ** (1 - len(maps)))

    def supervise(
        self, logits: Tensor, features: Features, example: Example, prefix: str = ""
    ) -> dict[str, Tensor]:
        """The supervised losses: segmentation and, if its weight is not 0, reconstruction."""
        parts = {f"{prefix}segmentation": self.segmentation_loss(logits, example.reference).mean()}
        return parts | self.reconstruction(features, example, prefix)

    def reconstruction(
        self, features: Features, example: Example, prefix: str = ""
    ) -> dict[str, Tensor]:
        """The weighted error of the image decoder against the clean image; empty at weight 0."""
        weight = self.harness.reconstruction_weight
        if weight == 0:
            return {}
        image = self.network.reconstruct(features)
        error = functional.mse_loss(image.float(), example.clean)
        return {f"{prefix}reconstruction": weight * error}

    def hard_example_parts(self, image: Tensor, example: Example) -> dict[str, Tensor]:
        """Losses of a hard example, which is rescaled and detached, with frozen batch norms.

        Source: sources.md S36, S37.
        """
        with frozen_batch_norm(self.network):
            return dict(
                self.supervised_pass(rescale(image.detach()), example, prefix="hard_").parts
            )

    def segmentation_loss(self, logits: Tensor, reference: Tensor) -> Tensor:
        """The supervised loss of each slice, `(B,)`."""
        loss = self.ce_weight * cross_entropy(logits, reference)
        match self.harness.supervision:
            case "dice_all_ce":
                return loss + self.dice_weight * soft_dice(logits, reference, "all")
            case "batch_dice_ce" if self.training:
                return loss + self.dice_weight * batch_dice(logits, reference)
            # the validation loss selects the checkpoint, so it must not depend on the batch
            case "dice_ce" | "batch_dice_ce":
                return loss + self.dice_weight * soft_dice(logits, reference)
        return loss

    def validation_loss(self, batch: Batch) -> Tensor:
        """The supervised loss of each slice `(B,)`, without augmentation."""
        return self.segmentation_loss(self.logits_of(batch), batch.reference)

    def logits_of(self, batch: Batch) -> Tensor:
        """Logits `(B, 2, H, W)` of a batch without augmentation, at the size of its slices."""
        # forward pass at the network's input size
        image, _ = self._at_input_size(rescale(image_of(batch)), batch.reference)
        logits = self.network(self.normalise(image)).float()
        # average over the mirrored images, if the harness does
        if self.harness.flips_in_test and not self.training:
            logits = logits.softmax(dim=1)
            for axes in ((-1,), (-2,), (-2, -1)):
                mirrored = self.network(self.normalise(image.flip(axes))).float()
                logits = logits + mirrored.flip(axes).softmax(dim=1)
            logits = (logits / 4).clamp_min(1e-8).log()
        # back to the size of the slices
        return functional.interpolate(
            logits, size=batch.reference.shape[-2:], mode="bilinear", align_corners=False
        )

    def _at_input_size(self, image: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        """Image and reference, resized to the harness's input size if it has one."""
        side = self.harness.input_px
        if side is None:
            return image, reference
        resized = functional.interpolate(
            image, size=(side, side), mode="bilinear", align_corners=False, antialias=True
        )
        return resized, at_scale_of(resized, reference)

    def predict(self, batch: Batch, settings: PredictionSettings) -> Prediction:
        """See `SegmentationMethod.predict`; the settings concern prompts and have no effect."""
        logits = self.logits_of(batch)
        mask = logits[:, 1:] > logits[:, :1]
        no_iou = torch.full((len(mask),), torch.nan, device=mask.device)
        return Prediction(mask=mask, predicted_iou=no_iou, probability=logits.softmax(dim=1)[:, 1:])


def random_window(
    image: Tensor, reference: Tensor, padded_px: int, side_px: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """A random square crop of each slice and its reference, after zero padding.

    Source: sources.md S34.

    Args:
        image: `(B, C, H, W)`; returned unchanged if a side is not larger than `side_px`.
        reference: `(B, 1, H, W)`.
        padded_px: Minimum side after padding, which is symmetric.
        side_px: Side of the square.
        generator: CPU generator of the positions.
    """
    if min(image.shape[-2:]) <= side_px:
        return image, reference
    # pad image and reference together
    both = torch.cat([image, reference], dim=1)
    extra_y, extra_x = (max(0, padded_px - side) for side in image.shape[-2:])
    margins = (extra_x // 2, extra_x - extra_x // 2, extra_y // 2, extra_y - extra_y // 2)
    both = functional.pad(both, margins)
    # one random position per slice
    tops, lefts = (
        torch.randint(side - side_px + 1, (len(both),), generator=generator).tolist()
        for side in both.shape[-2:]
    )
    cropped = torch.stack(
        [
            slice_[:, top : top + side_px, left : left + side_px]
            for slice_, top, left in zip(both, tops, lefts, strict=True)
        ]
    )
    return cropped[:, :-1], cropped[:, -1:]


def image_of(batch: Batch) -> Tensor:
    """The batch's image.

    Raises:
        ValueError: The batch was loaded without one.
    """
    if batch.image is None:
        raise ValueError(
            "an image method needs images, but this batch has none; load its slices with images"
        )
    return batch.image
