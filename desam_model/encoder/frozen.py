"""What all our encoders share: they are frozen, stay in eval mode and check their input."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from desam_model.encoder.entry import Compute, EncoderEntry
    from desam_model.types import Embedding

HALF_PRECISION = {"bf16-fused": torch.bfloat16, "fp16-fused": torch.float16}
"""The dtype of the matrix products of the arithmetics that are not in float32."""


class FrozenEncoder(nn.Module):
    """An `Encoder` whose family supplies `preprocess` and `maps`; call `freeze` when it is built.

    Attributes:
        entry: Its entry in the registry.
        fingerprint: Identity of the weights: SHA-256 of the checkpoint file, or of the weights.
        compute: Arithmetic of the encoder.
    """

    def __init__(self, *, entry: EncoderEntry, fingerprint: str, compute: Compute) -> None:
        super().__init__()
        self.entry = entry
        self.fingerprint = fingerprint
        self.compute = compute

    def freeze(self) -> None:
        """End the construction: no gradients, eval mode."""
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Self:
        """Does nothing: the frozen encoder stays in eval mode."""
        del mode
        super().train(False)
        return self

    @abstractmethod
    def preprocess(self, image: Tensor) -> Tensor:
        """Images as encoder input, `(B, 3, input_px, input_px)` float32, normalised.

        Args:
            image: `(B, 3, H, W)` or `(B, 1, H, W)` uint8, 0..255.

        Raises:
            TypeError: The image is not uint8.
            ValueError: The image has another number of dimensions or channels.
        """

    @abstractmethod
    def maps(self, frames: Tensor) -> Embedding:
        """Taps and neck of checked frames; runs without gradients, under the right autocast."""

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Embedding:
        """The embedding of preprocessed images `(B, 3, input_px, input_px)` float32."""
        side = self.entry.input_px
        if tuple(frames.shape[1:]) != (3, side, side):
            raise ValueError(
                f"frames have shape {tuple(frames.shape)}, expected (B, 3, {side}, {side});"
                " prepare images with preprocess()"
            )
        half = HALF_PRECISION.get(self.compute)
        # Matrix products in half precision; the residual stream and norms stay in float32
        with torch.autocast(frames.device.type, dtype=half, enabled=half is not None):
            return self.maps(frames)

    def forward(self, image: Tensor) -> Embedding:
        """The embedding of images `(B, 1 to 3, H, W)` uint8, 0..255."""
        return self.encode(self.preprocess(image))
