"""Token pooling: an encoder whose maps are means over squares of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from torch import Tensor, nn
from torch.nn import functional

from desam_model.types import Embedding

if TYPE_CHECKING:
    from desam_model.encoder.entry import Encoder


class PooledEncoder(nn.Module):
    """An encoder followed by means over squares of `pool` x `pool` tokens of every map.

    A grid of 64 tokens becomes 32 with `pool` 2 and 16 with 4; the input frame stays the same, so
    that a token stands for a larger square of it.

    Args:
        encoder: The encoder.
        pool: One of `POOLS`; must divide every grid.

    Raises:
        ValueError: The side is not allowed, or does not divide a grid.
    """

    def __init__(self, encoder: Encoder, pool: int) -> None:
        super().__init__()
        self.encoder = cast("Any", encoder)
        self.pool = pool
        self.entry = encoder.entry.pooled(pool)
        self.fingerprint = encoder.fingerprint
        self.compute = encoder.compute

    def preprocess(self, image: Tensor) -> Tensor:
        """See `Encoder.preprocess`."""
        frames: Tensor = self.encoder.preprocess(image)
        return frames

    def encode(self, frames: Tensor) -> Embedding:
        """The pooled embedding; means are taken in float32."""
        full: Embedding = self.encoder.encode(frames)
        taps = tuple(functional.avg_pool2d(tap.float(), self.pool) for tap in full.taps)
        return Embedding(taps=taps, neck=functional.avg_pool2d(full.neck.float(), self.pool))

    def forward(self, image: Tensor) -> Embedding:
        """The pooled embedding of images `(B, 1 to 3, H, W)` uint8."""
        return self.encode(self.preprocess(image))
