"""PDMM, the prompt-decoupled mask module: a convolutional decoder over the encoder's taps."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

_SE_REDUCTION = 16
_SLOPE = 0.01


class Context(NamedTuple):
    """Feature maps that PDMM computes from the taps; they do not depend on the prompt.

    Attributes:
        bottom: `(B, D, h, w)`, from the last tap.
        middle: `(B, D/2, 2h, 2w)`, from the middle tap.
        top: `(B, D/4, 4h, 4w)`, from the first tap.
    """

    bottom: Tensor
    middle: Tensor
    top: Tensor


class SqueezeExcite(nn.Module):
    """Channel gates from the global average: Linear, ReLU, Linear, sigmoid, without biases."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(1, channels // _SE_REDUCTION)
        self.squeeze = nn.Linear(channels, hidden, bias=False)
        self.excite = nn.Linear(hidden, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The input `(B, C, H, W)`, each channel multiplied by its gate in (0, 1)."""
        gate = self.excite(functional.relu(self.squeeze(x.mean(dim=(2, 3)))))
        return x * torch.sigmoid(gate)[:, :, None, None]


class SRB(nn.Module):
    """Squeeze-and-excitation residual block, `(B, C_in, H, W)` to `(B, C_out, H, W)`.

    Deviation: the release also builds the 1x1 shortcut convolution if the shortcut is the
    identity; here it is built only if it is used.

    Source:
        DeSAM, `desam/modeling/mask_decoder.py`, f377da2 (sources.md S17).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.shortcut = (
            None
            if in_channels == out_channels
            else nn.Conv2d(in_channels, out_channels, 1, bias=False)
        )
        self.se = SqueezeExcite(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """The block's output."""
        # In place, because the backward pass needs neither the output of the norm nor that of the
        # sum; at 256 x 256 px each map saved is a tenth of the memory of a training step
        out = functional.leaky_relu_(functional.instance_norm(self.conv1(x)), _SLOPE)
        out = self.se(functional.instance_norm(self.conv2(out)))
        skip = x if self.shortcut is None else functional.instance_norm(self.shortcut(x))
        return functional.leaky_relu_(out + skip, _SLOPE)


class PreUp(nn.Module):
    """Upsampling of a tap: an SRB, then `doublings` times an up-convolution and an SRB."""

    def __init__(self, in_channels: int, out_channels: int, doublings: int) -> None:
        super().__init__()
        self.block = SRB(in_channels, out_channels)
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(out_channels, out_channels, 2, stride=2, bias=False)
            for _ in range(doublings)
        )
        self.blocks = nn.ModuleList(SRB(out_channels, out_channels) for _ in range(doublings))

    def forward(self, tap: Tensor) -> Tensor:
        """`(B, C_out, h * 2**doublings, w * 2**doublings)`."""
        x: Tensor = self.block(tap)
        for up, block in zip(self.ups, self.blocks, strict=True):
            x = block(up(x))
        return x


class Up(nn.Module):
    """One decoder level: up-convolution by 2, concatenation with the skip connection, SRB."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2, bias=False)
        self.block = SRB(2 * out_channels, out_channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """`(B, C_out, 2H, 2W)`."""
        out: Tensor = self.block(torch.cat([self.up(x), skip], dim=1))
        return out


class PDMM(nn.Module):
    """Mask logits from three taps and, if `fuses_mask` is true, from PRIM's mask embedding.

    Args:
        tap_channels: Channels of each of the three taps, or one number for all: 768, 1024 and 1280
            for vit_b, vit_l and vit_h.
        tap_scales: Side of each tap's grid relative to the neck's, a power of two from 1 to that of
            its level: 4, 2 and 1 for the first, middle and last tap. A tap with a larger grid is
            doubled less often.
        dim: Width D of the bottleneck, equal to the encoder's neck channels; the levels above have
            D/2 and D/4.
        fuses_mask: False for the ablations without mask-embedding fusion.

    Deviation: the release builds a second 1x1 head for deep supervision that it does not use; it
    is not built here.

    Source:
        DeSAM, `desam/modeling/mask_decoder.py` (there `PIMMDecoder`), f377da2 (sources.md S17).
    """

    def __init__(
        self,
        *,
        tap_channels: int | Sequence[int],
        tap_scales: Sequence[int] = (1, 1, 1),
        dim: int = 256,
        fuses_mask: bool = True,
    ) -> None:
        super().__init__()
        channels = (tap_channels,) * 3 if isinstance(tap_channels, int) else tuple(tap_channels)
        if len(channels) != 3:
            raise ValueError(
                f"there are {len(channels)} taps, expected 3: PDMM reads one tap per level"
            )
        if dim < 4 or dim % 4:
            raise ValueError(f"PDMM's width is {dim}, expected a multiple of 4")
        top, middle, bottom = _doublings(tap_scales)
        self.tap_channels = channels
        self.dim = dim
        self.context_bottom = PreUp(channels[2], dim, bottom)
        self.context_middle = PreUp(channels[1], dim // 2, middle)
        self.context_top = PreUp(channels[0], dim // 4, top)
        self.up1 = Up(dim, dim // 2)
        self.up2 = Up(dim // 2, dim // 4)
        self.head = nn.Conv2d(dim // 4, 1, 1, bias=False)
        # Drawn last, so that the layers above start from the same weights with and without it
        self.fusion = SRB(2 * dim, dim) if fuses_mask else None

    def context(self, taps: tuple[Tensor, ...]) -> Context:
        """The three branches that do not depend on the prompt.

        Args:
            taps: Three maps `(B, C, h, w)`, each with its own channels and grid, earliest layer
                first.

        Raises:
            ValueError: The number of taps or their width differs from that of this PDMM.
        """
        if tuple(tap.shape[1] for tap in taps) != self.tap_channels:
            raise ValueError(
                f"PDMM reads 3 taps with {', '.join(map(str, self.tap_channels))} channels, got"
                f" {len(taps)} with shapes {[tuple(tap.shape) for tap in taps]}"
            )
        return Context(
            bottom=self.context_bottom(taps[2]),
            middle=self.context_middle(taps[1]),
            top=self.context_top(taps[0]),
        )

    def decode(self, context: Context, mask_embedding: Tensor | None) -> Tensor:
        """Mask logits `(B, 1, 4h, 4w)` from a context and a mask embedding `(B, D, h, w)`.

        Raises:
            ValueError: The mask embedding is missing, or this PDMM does not fuse one.
        """
        if (mask_embedding is None) != (self.fusion is None):
            raise ValueError(
                "this PDMM "
                + ("needs" if self.fusion is not None else "does not take")
                + " a mask embedding"
            )
        bottom = context.bottom
        if self.fusion is not None and mask_embedding is not None:
            bottom = self.fusion(torch.cat([mask_embedding, bottom], dim=1))
        logits: Tensor = self.head(self.up2(self.up1(bottom, context.middle), context.top))
        return logits

    def forward(self, taps: tuple[Tensor, ...], mask_embedding: Tensor | None = None) -> Tensor:
        """Mask logits `(B, 1, 4h, 4w)`."""
        return self.decode(self.context(taps), mask_embedding)


def _doublings(tap_scales: Sequence[int]) -> list[int]:
    """How often each tap's grid is doubled until it has the size of its level.

    Raises:
        ValueError: A grid is not the level's, divided by a power of two.
    """
    doublings = []
    for tap, (level, scale) in enumerate(zip((4, 2, 1), tap_scales, strict=True)):
        if scale not in (1, 2, 4) or scale > level:
            raise ValueError(
                f"the grid of tap {tap} is {scale} times the neck's, expected 1 or another power of"
                f" two up to {level}; tap a layer with a smaller grid"
            )
        doublings.append((level // scale).bit_length() - 1)
    return doublings
