"""SAM's encoder blocks with less work and less memory, the same mathematics.

Two things change. Attention never materialises its `(heads, tokens, tokens)` matrix: on a GPU the
decomposed relative position bias becomes extra columns of query and key, which lets
`scaled_dot_product_attention` use its fused kernels (no mask, so also flash attention); on a CPU
the matrix is made and used piece by piece (`chunked_attention.py`), which is faster there. And the
linear maps of windowed blocks run on the 64 x 64 tokens instead of the 70 x 70 padded ones,
because a padded token is zero and its query, key and value are the bias.

Source: the block is `segment_anything` 1.0 `modeling/image_encoder.py` (Apache-2.0), restated;
relative positions after Li et al., MViTv2, CVPR 2022.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from segment_anything.modeling.image_encoder import (
    get_rel_pos,
    window_partition,
    window_unpartition,
)
from torch import Tensor, nn
from torch.nn import functional

from desam_model.encoder.chunked_attention import attend_in_pieces

if TYPE_CHECKING:
    from collections.abc import Sequence


class FusedBlock(nn.Module):
    """One transformer block of SAM's encoder, built around the weights of the package's block.

    Deviation: sums run in another order than in the package; results agree to rounding (about
    1e-5 relative in float32, 1e-2 in bf16, 1e-3 in fp16), not bit for bit.
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.window_size = int(getattr(block, "window_size", 0))

    def forward(self, x: Tensor) -> Tensor:
        """Tokens `(B, h, w, C)` to tokens `(B, h, w, C)`."""
        block: Any = self.block
        attn: Any = block.attn
        qkv = attn.qkv(block.norm1(x))  # (B, h, w, 3C)
        if self.window_size > 0:
            qkv, padded_hw = _windows(qkv, attn.qkv.bias, self.window_size)
        mixed = fused_attention(qkv, attn)
        if self.window_size > 0:
            size = (x.shape[1], x.shape[2])
            mixed = window_unpartition(mixed, self.window_size, padded_hw, size)
        x = x + attn.proj(mixed)
        tokens: Tensor = x + block.mlp(block.norm2(x))
        return tokens


class InFloat32(nn.Module):
    """A part that stays in float32 under autocast: the patch embedding and the neck.

    They are 2 % of the work, and their rounding would reach every output.
    """

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, x: Tensor) -> Tensor:
        """What the part makes of `x`."""
        with torch.autocast(x.device.type, enabled=False):
            made: Tensor = self.part(x.float())
        return made


def fuse_blocks(image_encoder: nn.Module) -> None:
    """Put a `FusedBlock` around every block of SAM's image encoder, in place."""
    parts: Any = image_encoder
    for index, block in enumerate(parts.blocks):
        parts.blocks[index] = FusedBlock(block)
    parts.patch_embed, parts.neck = InFloat32(parts.patch_embed), InFloat32(parts.neck)


def _windows(qkv: Tensor, bias: Tensor, size: int) -> tuple[Tensor, tuple[int, int]]:
    """Windows `(B * n, size, size, 3C)`; padding holds the bias, which is what zeros map to."""
    _, height, width, _ = qkv.shape
    extra_h, extra_w = -height % size, -width % size
    if extra_h or extra_w:
        padded = bias.expand(qkv.shape[0], height + extra_h, width + extra_w, -1).clone()
        padded[:, :height, :width] = qkv
        qkv = padded
    windows, padded_hw = window_partition(qkv, size)
    return windows, padded_hw


def fused_attention(qkv: Tensor, attn: Any) -> Tensor:
    """Multi-head attention of SAM's `Attention` with relative positions, before its projection.

    Args:
        qkv: What its first linear map yields, `(B, h, w, 3C)`.
        attn: The package's module, for its heads, scale and position tables.

    Returns:
        `(B, h, w, C)`.
    """
    batch, height, width, _ = qkv.shape
    heads, tokens = attn.num_heads, height * width
    q, k, v = qkv.reshape(batch, tokens, 3, heads, -1).permute(2, 0, 3, 1, 4)  # (B, n, hw, d)
    along_h, along_w = _relative(q, attn, (height, width))
    attend = attend_in_pieces if q.device.type == "cpu" else attend_in_one_kernel
    mixed = attend(q * attn.scale, k, v, along_h, along_w)
    return mixed.transpose(1, 2).reshape(batch, height, width, -1)


def _relative(q: Tensor, attn: Any, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Bias of each query towards each key row and key column: `(B, n, hw, h)`, `(B, n, hw, w)`."""
    batch, heads, tokens, dim = q.shape
    height, width = size
    grid = q.reshape(batch, heads, height, width, dim)
    rows = get_rel_pos(height, height, attn.rel_pos_h)  # (h, h, d)
    columns = get_rel_pos(width, width, attn.rel_pos_w)
    along_h = torch.einsum("bnhwc,hkc->bnhwk", grid, rows)
    along_w = torch.einsum("bnhwc,wkc->bnhwk", grid, columns)
    return along_h.reshape(batch, heads, tokens, -1), along_w.reshape(batch, heads, tokens, -1)


def attend_in_one_kernel(
    q: Tensor, k: Tensor, v: Tensor, along_h: Tensor, along_w: Tensor
) -> Tensor:
    """What `attend_in_pieces` computes, by one call of `scaled_dot_product_attention`.

    The bias is extra columns: `[q, bias_h, bias_w] . [k, one-hot row, one-hot column]`.
    """
    height, width = along_h.shape[-1], along_w.shape[-1]
    rows = torch.eye(height, dtype=k.dtype, device=k.device).repeat_interleave(width, 0)
    columns = torch.eye(width, dtype=k.dtype, device=k.device).repeat(height, 1)
    where = torch.cat([rows, columns], dim=-1).expand(*k.shape[:2], -1, -1)
    wide_q = torch.cat([q, along_h, along_w], dim=-1)
    wide_k = torch.cat([k, where], dim=-1)
    wide_v = functional.pad(v, (0, wide_k.shape[-1] - v.shape[-1]))  # flash needs one width
    mixed = functional.scaled_dot_product_attention(wide_q, wide_k, wide_v, scale=1.0)
    return mixed[..., : v.shape[-1]]
