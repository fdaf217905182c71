"""The default learning rate; this module does not import torch, so planning stays fast."""

from __future__ import annotations

RELEASED_LR = 1e-4
"""DeSAM's learning rate, for SAM's neck of 256 channels (sources.md S19)."""

SAM_NECK_CHANNELS = 256
"""Channels of the neck of SAM's own encoders."""


def default_lr(neck_channels: int) -> float:
    """The learning rate that is used when the config sets none.

    Deviation: it is inversely proportional to the decoder's width, as Adam's best rate is (Yang et
    al., Tensor Programs V, 2022). With the released rate, vit_tiny needs hundreds of epochs to
    learn to rate prompts. For SAM's own encoders it equals the released rate.

    Args:
        neck_channels: Neck channels of the encoder whose embeddings are read; 0 if the method
            reads no embeddings.
    """
    return RELEASED_LR * (SAM_NECK_CHANNELS / neck_channels if neck_channels else 1.0)
