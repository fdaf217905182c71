"""The one interface between the training loop and a paper's method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from torch import nn

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from desam_model.types import (
        Batch,
        Losses,
        Prediction,
        PredictionSettings,
        Reads,
        UsedPrompts,
    )


class SegmentationMethod(nn.Module, ABC):
    """A binary segmentation method that `fit` trains and `evaluate` scores.

    An implementation is complete when constructed and takes explicit keyword arguments, never a
    config. It draws every random number from the generator it is given, and it sees no data other
    than the batch it is given.

    Attributes:
        reads: The fields that the loader must put into a batch besides the reference.
    """

    reads: ClassVar[frozenset[Reads]]

    @abstractmethod
    def training_loss(self, batch: Batch, generator: torch.Generator) -> Losses:
        """The loss of one batch, with gradient; called in train mode.

        Args:
            batch: On the method's device.
            generator: A CPU generator owned by the trial; the only source of randomness.
        """

    @abstractmethod
    def validation_loss(self, batch: Batch) -> Tensor:
        """Loss per slice `(B,)`, used to select the checkpoint; deterministic; eval mode."""

    @abstractmethod
    def predict(self, batch: Batch, settings: PredictionSettings) -> Prediction:
        """Binary masks of a batch; deterministic and independent of the batch size; eval mode."""

    def validate(self, batch: Batch, settings: PredictionSettings) -> tuple[Tensor, Tensor]:
        """Validation loss `(B,)` and masks `(B, 1, H, W)`; override it to compute both at once."""
        return self.validation_loss(batch), self.predict(batch, settings).mask

    def used_prompts(self, batch: Batch, settings: PredictionSettings) -> UsedPrompts | None:
        """The prompts of `predict`; None for a method without prompts. Eval mode."""
        del batch, settings
        return None

    def trainable_parameters(self) -> list[nn.Parameter]:
        """The parameters that the optimiser updates: by default all that require a gradient."""
        return [p for p in self.parameters() if p.requires_grad]
