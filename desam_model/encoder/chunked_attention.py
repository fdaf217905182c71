"""Attention with SAM's relative positions on a CPU, in chunks of the matrix that fit the cache.

On a CPU, torch's fused kernel spends most of its time outside the matrix products. Here the matrix
products are plain batched ones, which use the CPU's bf16 units if it has them, and the softmax runs
in float32 on a chunk that stays in the cache. Each core computes whole chunks, because splitting
every small operation across cores costs more than it gains, especially if a core is busy.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product

import torch
from torch import Tensor

_CHUNK_SCORES = 2**19
"""Attention scores per chunk: 2 MB in float32, about the second-level cache of a core."""

_MIN_CHUNKS_PER_THREAD = 4
"""With fewer chunks per thread, starting threads costs more than it gains."""


def attend_in_chunks(q: Tensor, k: Tensor, v: Tensor, along_h: Tensor, along_w: Tensor) -> Tensor:
    """`softmax(q k^T + bias) v`, where key (r, c) has the bias `along_h[..., r] + along_w[..., c]`.

    Scores are rounded to the precision of `q`; bias and softmax are computed in float32. The result
    differs from full float32 by less than 1e-2 (relative) in bf16, and only by rounding in float32.

    Args:
        q: Scaled queries `(B, n, T, d)`.
        k: Keys `(B, n, h * w, d)`.
        v: Values `(B, n, h * w, d)`.
        along_h: Bias of the key rows, `(B, n, T, h)`.
        along_w: Bias of the key columns, `(B, n, T, w)`.

    Returns:
        `(B, n, T, d)`, in the precision of `v`.
    """
    # flatten batch and heads
    batch, heads, tokens, dim = q.shape
    height, width = along_h.shape[-1], along_w.shape[-1]
    n = batch * heads
    q, k, v = (x.reshape(n, -1, dim) for x in (q, k, v))
    along_h, along_w = along_h.reshape(n, tokens, height), along_w.reshape(n, tokens, width)
    # chunks of query rows and, if these are few, of several heads
    rows = min(tokens, max(1, _CHUNK_SCORES // k.shape[1]))
    heads_per_chunk = max(1, _CHUNK_SCORES // (k.shape[1] * rows))
    out = torch.empty_like(q, dtype=v.dtype)
    chunks = [
        (slice(head, head + heads_per_chunk), slice(row, row + rows))
        for head, row in product(range(0, n, heads_per_chunk), range(0, tokens, rows))
    ]
    # one chunk after the other, or one chunk per thread
    attend = partial(_attend_in_chunk, q, k, v, along_h, along_w, out)
    threads = torch.get_num_threads()
    if threads == 1 or len(chunks) < _MIN_CHUNKS_PER_THREAD * threads:
        for chunk in chunks:
            attend(chunk)
    else:
        try:
            with ThreadPoolExecutor(threads, initializer=partial(torch.set_num_threads, 1)) as pool:
                list(pool.map(attend, chunks))
        finally:
            torch.set_num_threads(threads)  # the value set in a thread also affects MKL elsewhere
    return out.view(batch, heads, tokens, dim)


def _attend_in_chunk(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    along_h: Tensor,
    along_w: Tensor,
    out: Tensor,
    chunk: tuple[slice, slice],
) -> None:
    """Fill some rows of some heads of `out`; arguments as in `attend_in_chunks`, heads first."""
    heads, rows = chunk
    scores = torch.bmm(q[heads, rows], k[heads].transpose(1, 2)).float()
    on_grid = scores.view(*scores.shape[:2], along_h.shape[-1], along_w.shape[-1])
    on_grid += along_h[heads, rows, :, None]
    on_grid += along_w[heads, rows, None, :]
    weights = torch.softmax(scores, dim=-1).to(v.dtype)
    out[heads, rows] = torch.bmm(weights, v[heads])
