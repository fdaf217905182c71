"""PDMM, the prompt-decoupled mask module: a convolutional decoder over the encoder's taps."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

_SE_REDUCTION = 16
_SLOPE = 0.01


class Context(NamedTuple):
    """What PDMM makes of the taps alone, for any prompt.

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
        """The input `(B, C, H, W)`, each channel times its gate in (0, 1)."""
        gate = self.excite(functional.relu(self.squeeze(x.mean(dim=(2, 3)))))
        return x * torch.sigmoid(gate)[:, :, None, None]


class SRB(nn.Module):
    """Squeeze-and-excitation residual block, `(B, C_in, H, W)` to `(B, C_out, H, W)`.

    Deviation: the release builds the 1x1 shortcut convolution even where the shortcut is the
    identity; here it exists only where it is used.

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
        # in place: the backward pass needs neither a norm's nor a sum's output, and at 256 x 256
        # px each map that is not kept is a tenth of the memory of a training step
        out = functional.leaky_relu_(functional.instance_norm(self.conv1(x)), _SLOPE)
        out = self.se(functional.instance_norm(self.conv2(out)))
        skip = x if self.shortcut is None else functional.instance_norm(self.shortcut(x))
        return functional.leaky_relu_(out + skip, _SLOPE)


class PreUp(nn.Module):
    """A tap brought to its resolution: SRB, then `doublings` times an up-convolution and SRB."""

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
    """Twice the resolution, joined with a skip connection: up-convolution, concatenation, SRB."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2, bias=False)
        self.block = SRB(2 * out_channels, out_channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """`(B, C_out, 2H, 2W)`."""
        out: Tensor = self.block(torch.cat([self.up(x), skip], dim=1))
        return out


class PDMM(nn.Module):
    """Mask logits from three taps, and from PRIM's mask embedding where `fuses_mask` is on.

    Args:
        tap_channels: Channels of each tap: 768, 1024, 1280 for vit_b, vit_l, vit_h, or any.
        num_taps: The decoder has three levels, so 3.
        dim: Width of the bottleneck, the encoder's neck channels; the levels above have D/2, D/4.
        fuses_mask: Off for the ablations without mask-embedding fusion.

    Deviation: the release builds a second 1x1 head for deep supervision and never uses it; it is
    not built here.

    Source:
        DeSAM, `desam/modeling/mask_decoder.py` (there `PIMMDecoder`), f377da2 (sources.md S17).
    """

    def __init__(
        self, *, tap_channels: int, num_taps: int = 3, dim: int = 256, fuses_mask: bool = True
    ) -> None:
        super().__init__()
        if num_taps != 3:
            raise ValueError(f"PDMM reads 3 taps, one per level, not {num_taps}")
        if dim < 4 or dim % 4:
            raise ValueError(f"PDMM's width is {dim}, expected a multiple of 4")
        self.tap_channels = tap_channels
        self.dim = dim
        self.context_bottom = PreUp(tap_channels, dim, 0)
        self.context_middle = PreUp(tap_channels, dim // 2, 1)
        self.context_top = PreUp(tap_channels, dim // 4, 2)
        self.fusion = SRB(2 * dim, dim) if fuses_mask else None
        self.up1 = Up(dim, dim // 2)
        self.up2 = Up(dim // 2, dim // 4)
        self.head = nn.Conv2d(dim // 4, 1, 1, bias=False)

    def context(self, taps: tuple[Tensor, ...]) -> Context:
        """The three branches that no prompt changes.

        Args:
            taps: Three maps `(B, C, h, w)`, earliest block first.

        Raises:
            ValueError: The number of taps or their width is not the one built for.
        """
        if len(taps) != 3 or taps[0].shape[1] != self.tap_channels:
            raise ValueError(
                f"PDMM reads 3 taps of {self.tap_channels} channels, got {len(taps)} with shapes"
                f" {[tuple(tap.shape) for tap in taps]}"
            )
        return Context(
            bottom=self.context_bottom(taps[2]),
            middle=self.context_middle(taps[1]),
            top=self.context_top(taps[0]),
        )

    def decode(self, context: Context, mask_embedding: Tensor | None) -> Tensor:
        """Mask logits `(B, 1, 4h, 4w)` of a context and a mask embedding `(B, D, h, w)`.

        Raises:
            ValueError: A mask embedding is missing, or given to a decoder that fuses none.
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
