"""The learning rate of a training that names none; needs no torch, so that a plan can ask."""

from __future__ import annotations

RELEASED_LR = 1e-4
"""DeSAM's learning rate, for SAM's neck of 256 channels (sources.md S19)."""

SAM_NECK_CHANNELS = 256
"""Channels of the neck of SAM's own encoders."""


def default_lr(neck_channels: int) -> float:
    """The learning rate where none is set.

    Deviation: it grows as the decoder narrows, as Adam's best rate does (Yang et al., Tensor
    Programs V, 2022): with the released one vit_tiny learns to rate prompts in hundreds of epochs
    only. With SAM's own encoders it is the released one.

    Args:
        neck_channels: Of the encoder whose embeddings are read; 0 where none are read.
    """
    return RELEASED_LR * (SAM_NECK_CHANNELS / neck_channels if neck_channels else 1.0)
