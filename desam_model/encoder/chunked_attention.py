"""Attention with SAM's relative positions on a CPU, a cache-sized piece of the matrix at a time.

On a CPU torch's fused kernel spends most of its time outside the matrix products. Here the
products are plain batched ones, which have bf16 units where the CPU has them, and the softmax in
between runs in float32 on a piece that stays in the cache. Each core takes whole pieces: to share
out every small operation costs more than it gains, and many times more where a core is busy with
something else.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product

import torch
from torch import Tensor

_PIECE = 2**19
"""Scores that a core holds at once: 2 MB in float32, about its second-level cache."""

_WORTH_THREADS = 4
"""Pieces a core below which starting threads costs more than it gains."""


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
    rows = min(tokens, max(1, _PIECE // k.shape[1]))
    pack = max(1, _PIECE // (k.shape[1] * rows))
    mixed = torch.empty_like(q, dtype=v.dtype)
    parts = [
        (slice(head, head + pack), slice(row, row + rows))
        for head, row in product(range(0, n, pack), range(0, tokens, rows))
    ]
    attend = partial(_attend_in_piece, q, k, v, along_h, along_w, mixed)
    threads = torch.get_num_threads()
    if threads == 1 or len(parts) < _WORTH_THREADS * threads:
        for part in parts:
            attend(part)
    else:
        try:
            with ThreadPoolExecutor(threads, initializer=partial(torch.set_num_threads, 1)) as pool:
                list(pool.map(attend, parts))
        finally:
            torch.set_num_threads(threads)  # what a thread sets also reaches MKL's calls elsewhere
    return mixed.view(batch, heads, tokens, dim)


def _attend_in_piece(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    along_h: Tensor,
    along_w: Tensor,
    mixed: Tensor,
    part: tuple[slice, slice],
) -> None:
    """Fill some rows of some heads of `mixed`; arguments as in `attend_in_pieces`, heads first."""
    heads, rows = part
    scores = torch.bmm(q[heads, rows], k[heads].transpose(1, 2)).float()
    on_grid = scores.view(*scores.shape[:2], along_h.shape[-1], along_w.shape[-1])
    on_grid += along_h[heads, rows, :, None]
    on_grid += along_w[heads, rows, None, :]
    weights = torch.softmax(scores, dim=-1).to(v.dtype)
    mixed[heads, rows] = torch.bmm(weights, v[heads])
