"""The default learning rate; this module does not import torch, so planning stays fast."""

from __future__ import annotations

RELEASED_LR = 1e-4
"""DeSAM's learning rate, for SAM's neck of 256 channels (sources.md S19)."""

FROM_SCRATCH_LR = 1e-3
"""The rate of an image network without pretrained weights.

Deviation: the DeSAM paper does not say at which rate its comparisons were trained; at DeSAM's own
1e-4, made for a pretrained decoder, 30 epochs on a hospital are too few for a U-Net from scratch.
Chosen on source validation at three real hospitals; docs/methods.md, "Default learning rates",
shows the curve. The recipes of the methods' own repositories are their official profiles.
"""

SAM_NECK_CHANNELS = 256
"""Channels of the neck of SAM's own encoders."""


def default_lr(neck_channels: int) -> float:
    """The learning rate that is used when the config sets none.

    An image network gets `FROM_SCRATCH_LR`.

    Deviation: for a decoder of embeddings it is inversely proportional to the decoder's width, as
    Adam's best rate is (Yang et al., Tensor Programs V, 2022). With the released rate, vit_tiny
    needs hundreds of epochs to learn to rate prompts. For SAM's own encoders it equals the released
    rate.

    Args:
        neck_channels: Neck channels of the encoder whose embeddings are read; 0 if the method
            reads no embeddings.
    """
    if not neck_channels:
        return FROM_SCRATCH_LR
    return RELEASED_LR * SAM_NECK_CHANNELS / neck_channels
