"""Attention with SAM's relative positions on a CPU, a cache-sized piece of the matrix at a time.

On a CPU torch's fused kernel spends most of its time outside the matrix products. Here the
products are plain batched ones, which have bf16 units where the CPU has them, and the softmax in
between runs in float32 on a piece that stays in the cache.
"""

from __future__ import annotations

import torch
from torch import Tensor

_PIECE = 2**19
"""Scores that a core holds at once: 2 MB in float32, about its second-level cache."""


def attend_in_pieces(q: Tensor, k: Tensor, v: Tensor, along_h: Tensor, along_w: Tensor) -> Tensor:
    """`softmax(q k^T + bias) v`, where key (r, c) has the bias `along_h[..., r] + along_w[..., c]`.

    Scores leave the product rounded to the precision of `q`; bias, softmax and its sums are
    float32. With bf16 the result is within 1e-2 relative of float32, with float32 equal to
    rounding.

    Args:
        q: Scaled queries `(B, n, T, d)`.
        k: Keys `(B, n, h * w, d)`.
        v: Values `(B, n, h * w, d)`.
        along_h: `(B, n, T, h)`.
        along_w: `(B, n, T, w)`.

    Returns:
        `(B, n, T, d)`, in the precision of `v`.
    """
    batch, heads, tokens, dim = q.shape
    height, width = along_h.shape[-1], along_w.shape[-1]
    n = batch * heads
    q, k, v = (x.reshape(n, -1, dim) for x in (q, k, v))
    along_h, along_w = along_h.reshape(n, tokens, height), along_w.reshape(n, tokens, width)
    piece = _PIECE * torch.get_num_threads()
    rows = min(tokens, max(1, piece // k.shape[1]))
    pack = max(1, piece // (k.shape[1] * rows))
    mixed = torch.empty_like(q, dtype=v.dtype)
    held = torch.empty(pack, rows, height, width, device=q.device)
    for head in range(0, n, pack):
        here = slice(head, head + pack)
        for row in range(0, tokens, rows):
            part = slice(row, row + rows)
            product = torch.bmm(q[here, part], k[here].transpose(1, 2))
            scores = held[: product.shape[0], : product.shape[1]]
            scores.copy_(product.view(scores.shape))
            scores += along_h[here, part, :, None]
            scores += along_w[here, part, None, :]
            weights = torch.softmax(scores.flatten(2), dim=-1).to(v.dtype)
            mixed[here, part] = torch.bmm(weights, v[here])
    return mixed.view(batch, heads, tokens, dim)
