"""SAM's encoder blocks, faster and with less memory; mathematically identical.

There are two changes:

- Attention does not materialise its `(heads, tokens, tokens)` matrix. On a GPU, the decomposed
  relative position bias becomes extra columns of query and key, so `scaled_dot_product_attention`
  can use its fused kernels (without a mask, hence also flash attention). On a CPU, the matrix is
  computed in chunks (`chunked_attention.py`), which is faster there.
- The linear maps of windowed blocks run on the 64 x 64 tokens instead of the 70 x 70 padded ones,
  because a padded token is zero, so its query, key and value equal the bias.

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

from desam_model.encoder.chunked_attention import attend_in_chunks

if TYPE_CHECKING:
    from collections.abc import Sequence


class FusedBlock(nn.Module):
    """One transformer block of SAM's encoder, with the weights of the original block.

    Deviation: sums are computed in another order than in `segment_anything`; results agree up to
    rounding (about 1e-5 relative in float32, 1e-2 in bf16, 1e-3 in fp16), not bit for bit.
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.window_size = int(getattr(block, "window_size", 0))

    def forward(self, x: Tensor) -> Tensor:
        """Tokens `(B, h, w, C)` to tokens `(B, h, w, C)`."""
        block: Any = self.block
        attn: Any = block.attn
        # attention, in windows if the block has them
        qkv = attn.qkv(block.norm1(x))  # (B, h, w, 3C)
        if self.window_size > 0:
            qkv, padded_hw = _windows(qkv, attn.qkv.bias, self.window_size)
        attended = fused_attention(qkv, attn)
        if self.window_size > 0:
            size = (x.shape[1], x.shape[2])
            attended = window_unpartition(attended, self.window_size, padded_hw, size)
        x = x + attn.proj(attended)
        # MLP
        tokens: Tensor = x + block.mlp(block.norm2(x))
        return tokens


class InFloat32(nn.Module):
    """A module that stays in float32 under autocast: the patch embedding and the neck.

    They are 2 % of the computation, and their rounding error would affect every output.
    """

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, x: Tensor) -> Tensor:
        """The output of the module, computed in float32."""
        with torch.autocast(x.device.type, enabled=False):
            out: Tensor = self.part(x.float())
        return out


def fuse_blocks(image_encoder: nn.Module) -> None:
    """Replace every block of SAM's image encoder with a `FusedBlock`, in place."""
    encoder: Any = image_encoder
    for index, block in enumerate(encoder.blocks):
        encoder.blocks[index] = FusedBlock(block)
    encoder.patch_embed = InFloat32(encoder.patch_embed)
    encoder.neck = InFloat32(encoder.neck)


def _windows(qkv: Tensor, bias: Tensor, size: int) -> tuple[Tensor, tuple[int, int]]:
    """Windows `(B * n, size, size, 3C)`; padded with the bias, the image of a zero token."""
    _, height, width, _ = qkv.shape
    extra_h, extra_w = -height % size, -width % size
    if extra_h or extra_w:
        padded = bias.expand(qkv.shape[0], height + extra_h, width + extra_w, -1).clone()
        padded[:, :height, :width] = qkv
        qkv = padded
    windows, padded_hw = window_partition(qkv, size)
    return windows, padded_hw


def fused_attention(qkv: Tensor, attn: Any) -> Tensor:
    """SAM's multi-head attention with relative positions, before the output projection.

    Args:
        qkv: Output of the first linear map, `(B, h, w, 3C)`.
        attn: SAM's `Attention` module, for its heads, scale and position tables.

    Returns:
        `(B, h, w, C)`.
    """
    batch, height, width, _ = qkv.shape
    heads, tokens = attn.num_heads, height * width
    q, k, v = qkv.reshape(batch, tokens, 3, heads, -1).permute(2, 0, 3, 1, 4)  # (B, n, hw, d)
    along_h, along_w = _relative(q, attn, (height, width))
    attend = attend_in_chunks if q.device.type == "cpu" else attend_in_one_kernel
    attended = attend(q * attn.scale, k, v, along_h, along_w)
    return attended.transpose(1, 2).reshape(batch, height, width, -1)


def _relative(q: Tensor, attn: Any, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Bias of each query for each key row and key column: `(B, n, hw, h)`, `(B, n, hw, w)`."""
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
    """The result of `attend_in_chunks` from one call of `scaled_dot_product_attention`.

    The bias becomes extra columns: `[q, bias_h, bias_w] . [k, one-hot row, one-hot column]`.
    """
    height, width = along_h.shape[-1], along_w.shape[-1]
    rows = torch.eye(height, dtype=k.dtype, device=k.device).repeat_interleave(width, 0)
    columns = torch.eye(width, dtype=k.dtype, device=k.device).repeat(height, 1)
    one_hot = torch.cat([rows, columns], dim=-1).expand(*k.shape[:2], -1, -1)
    wide_q = torch.cat([q, along_h, along_w], dim=-1)
    wide_k = torch.cat([k, one_hot], dim=-1)
    wide_v = functional.pad(v, (0, wide_k.shape[-1] - v.shape[-1]))  # flash needs equal widths
    attended = functional.scaled_dot_product_attention(wide_q, wide_k, wide_v, scale=1.0)
    return attended[..., : v.shape[-1]]
