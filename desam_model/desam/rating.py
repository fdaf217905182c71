"""Rating many prompts on one image with PRIM alone, by exact algebra and in bounded memory.

PRIM's transformer is evaluated as written in `prim.py`, but cheaper (`_ImageTokens`, `_Layer`):

- what the first layer computes from the untouched image tokens is the same for every prompt;
- with seven tokens against thousands of image tokens, attention projects the tokens instead of the
  image: q.(W k) = (W'q).k, and W(sum a v) = sum a (W v); terms that are constant along a softmax
  cancel and are left out;
- the last attention is computed for the IoU token alone.

Shapes here: P prompts, T tokens of each, N image tokens, M heads, G = M T.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segment_anything.modeling.transformer import Attention, TwoWayAttentionBlock
    from torch import Tensor

    from desam_model.desam.prim import PRIM

MAX_BATCH_ELEMENTS = 2 * 4096 * 256
"""Image-token values of a prompt batch: two prompts at SAM's sizes. On a CPU larger batches leave
the cache and are no faster (81 prompts on one thread: 1.13 s by two, 1.17 s by four, 2.15 s by
nine)."""

GPU_FACTOR = 8
"""A GPU takes that many times more at once, 16 prompts at SAM's sizes: about 300 MB."""

TIE = 1e-5
"""Relative difference of predicted IoUs below which two prompts count as tied; float32 rounding of
the algebra is some 1e-7."""


def rate_prompts(prim: PRIM, image: Tensor, image_pe: Tensor, sparse: Tensor) -> Tensor:
    """Predicted IoU `(B, P)` of every prompt on every slice.

    Args:
        prim: The module.
        image: `(B, D, h, w)`, what PRIM attends to.
        image_pe: `(1, D, h, w)`.
        sparse: `(P, n, D)`, tokens of the prompts.
    """
    rows = []
    for one in torch.split(image, 1):
        parts = _prompt_batches(prim, one, image_pe, sparse)
        rows.append(torch.cat([_rate(prim, tokens, keys, pe) for tokens, keys, pe in parts]))
    return torch.stack(rows)


def best_prompts(prim: PRIM, image: Tensor, image_pe: Tensor, sparse: Tensor) -> Tensor:
    """Index `(B,)` of the prompt with the highest predicted IoU; arguments as `rate_prompts`.

    Prompts that the algebra cannot tell apart (`TIE`) are rated again by PRIM itself, and the first
    of equals is taken, so that rounding decides nothing.
    """
    best = []
    rated = rate_prompts(prim, image, image_pe, sparse)
    for one, row in zip(torch.split(image, 1), rated, strict=True):
        close = row >= row.max() - TIE * (1.0 + row.abs().max())
        candidates = close.nonzero()[:, 0]
        if len(candidates) > 1:
            again = [
                prim(one.expand(len(part), -1, -1, -1), image_pe, sparse[part])[0][:, 0]
                for part in torch.split(candidates, _prompts_at_once(one))
            ]
            candidates = candidates[torch.cat(again).argmax()][None]
        # an undefined rating has no best prompt; any one passes it on
        best.append(candidates if len(candidates) else row.argmax()[None])
    return torch.cat(best)


def mean_mask_embedding(prim: PRIM, image: Tensor, image_pe: Tensor, sparse: Tensor) -> Tensor:
    """Mean over the prompts of the mask embedding, `(B, D, h, w)`; arguments as `rate_prompts`."""
    means = []
    for one in torch.split(image, 1):
        parts = _prompt_batches(prim, one, image_pe, sparse)
        total = torch.stack([keys.sum(dim=0) for _, keys, _ in parts]).sum(dim=0)  # (N, D)
        means.append((total / len(sparse)).T.reshape(one.shape[1:]))
    return torch.stack(means)


class _Reading(NamedTuple):
    """One prompt batch after the last layer: tokens `(P, T, D)`, keys `(P, N, D)`, pe `(N, D)`."""

    tokens: _Tokens
    keys: Tensor
    pe: Tensor


class _Tokens(NamedTuple):
    """The prompt's tokens `(P, T, D)` as they are, and as they were at first (their encoding)."""

    now: Tensor
    first: Tensor


def _prompt_batches(
    prim: PRIM, image: Tensor, image_pe: Tensor, sparse: Tensor
) -> Iterator[_Reading]:
    """PRIM's transformer, up to its last attention, for prompt batches on one slice."""
    image_tokens = image[0].flatten(1).T.contiguous()  # (N, D)
    pe = image_pe[0].flatten(1).T.contiguous()
    first, *rest = prim.transformer.layers
    shared = _SharedImage.of(first, image_tokens, pe)
    for part in torch.split(sparse, _prompts_at_once(image)):
        encoding = prim.tokens(part)
        tokens, keys = _first_layer(first, encoding, image_tokens, shared)
        for layer in rest:
            tokens, keys = _later_layer(layer, tokens, encoding, keys, pe)
        yield _Reading(_Tokens(tokens, encoding), keys, pe)


def _prompts_at_once(image: Tensor) -> int:
    elements = MAX_BATCH_ELEMENTS * (GPU_FACTOR if image.is_cuda else 1)
    return max(1, elements // image[0].numel())


class _SharedImage(NamedTuple):
    """Projections of the untouched image tokens, each `(M, N, d)`.

    Attributes:
        key: For the tokens to attend to.
        value: What they read.
        query: For the image to attend to the tokens.
    """

    key: Tensor
    value: Tensor
    query: Tensor

    @staticmethod
    def of(layer: TwoWayAttentionBlock, image: Tensor, pe: Tensor) -> _SharedImage:
        """The first layer's projections of `image` and `pe`, both `(N, D)`."""
        reads, writes = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
        placed = image + pe
        return _SharedImage(
            key=_by_head(reads.k_proj(placed), reads),
            value=_by_head(reads.v_proj(image), reads),
            query=_by_head(writes.q_proj(placed), writes),
        )


def _first_layer(
    layer: TwoWayAttentionBlock, encoding: Tensor, image: Tensor, shared: _SharedImage
) -> tuple[Tensor, Tensor]:
    """Tokens `(P, T, D)` and keys `(P, N, D)` after the layer that sees the untouched image."""
    prompts, count, _ = encoding.shape
    tokens = layer.norm1(layer.self_attn(q=encoding, k=encoding, v=encoding))
    # tokens read the image
    reads = layer.cross_attn_token_to_image
    query = _by_head((reads.q_proj(tokens + encoding) * _scale(reads)).flatten(0, 1), reads)
    attention = torch.bmm(query, shared.key.mT).softmax(dim=-1)  # (M, P T, N)
    read = torch.bmm(attention, shared.value)  # (M, P T, d)
    read = read.transpose(0, 1).reshape(prompts, count, -1)
    tokens = layer.norm2(tokens + reads.out_proj(read))
    tokens = layer.norm3(tokens + layer.mlp(tokens))
    # the image reads the tokens
    writes = layer.cross_attn_image_to_token
    key = _by_head((writes.k_proj(tokens + encoding) * _scale(writes)).flatten(0, 1), writes)
    logits = torch.bmm(key, shared.query.mT).view(len(key), prompts, count, -1)  # (M, P, T, N)
    attention = logits.softmax(dim=2).transpose(0, 1)
    keys = _written(writes, attention, tokens, image.expand(prompts, -1, -1))
    return tokens, layer.norm4(keys)


def _later_layer(
    layer: TwoWayAttentionBlock, tokens: Tensor, encoding: Tensor, keys: Tensor, pe: Tensor
) -> tuple[Tensor, Tensor]:
    """Tokens and keys after a layer whose image tokens differ by prompt."""
    query = tokens + encoding
    tokens = layer.norm1(tokens + layer.self_attn(q=query, k=query, v=tokens))
    placed = keys + pe  # (P, N, D)
    reads = layer.cross_attn_token_to_image
    tokens = layer.norm2(tokens + _read(reads, tokens + encoding, placed, keys))
    tokens = layer.norm3(tokens + layer.mlp(tokens))
    writes = layer.cross_attn_image_to_token
    key = _split_heads(writes.k_proj(tokens + encoding) * _scale(writes), writes)
    folded = key @ _weight_by_head(writes.q_proj.weight, writes)  # (P, M, T, D)
    offset = key @ writes.q_proj.bias.view(writes.num_heads, -1, 1)  # (P, M, T, 1)
    logits = torch.bmm(folded.flatten(1, 2), placed.mT).view(*folded.shape[:3], -1)
    attention = (logits + offset).softmax(dim=2)  # (P, M, T, N)
    return tokens, layer.norm4(_written(writes, attention, tokens, keys))


def _rate(prim: PRIM, tokens: _Tokens, keys: Tensor, pe: Tensor) -> Tensor:
    """Predicted IoU `(P,)`: the last attention, for the IoU token alone."""
    transformer = prim.transformer
    now, first = tokens.now[:, :1], tokens.first[:, :1]
    read = _read(transformer.final_attn_token_to_image, now + first, keys + pe, keys)
    return prim.rate(transformer.norm_final_attn(now + read)[:, 0])[:, 0]


def _read(attention: Attention, query: Tensor, placed: Tensor, keys: Tensor) -> Tensor:
    """What tokens `(P, T, D)` read from the image, `(P, T, D)`, projecting tokens only.

    The key projection's bias adds a constant to each row of logits and cancels in the softmax; the
    weights of a row sum to one, so the value projection's bias is added once.
    """
    query = _split_heads(attention.q_proj(query) * _scale(attention), attention)  # (P, M, T, d)
    folded = query @ _weight_by_head(attention.k_proj.weight, attention)  # (P, M, T, D)
    weights = torch.bmm(folded.flatten(1, 2), placed.mT).softmax(dim=-1)  # (P, G, N)
    seen = torch.bmm(weights, keys).view(folded.shape)  # (P, M, T, D)
    value = seen @ _weight_by_head(attention.v_proj.weight, attention).mT  # (P, M, T, d)
    value = value.transpose(1, 2).flatten(2) + attention.v_proj.bias
    read: Tensor = attention.out_proj(value)
    return read


def _written(attention: Attention, weights: Tensor, tokens: Tensor, keys: Tensor) -> Tensor:
    """The image `(P, N, D)` plus what its tokens read, `weights` `(P, M, T, N)` summing over T."""
    value = _split_heads(attention.v_proj(tokens), attention)  # (P, M, T, d)
    out = attention.out_proj.weight.view(len(attention.out_proj.weight), attention.num_heads, -1)
    # a head's weights sum to one over its tokens, so each head carries its share of the bias
    values = value @ out.permute(1, 2, 0) + attention.out_proj.bias / out.shape[1]  # (P, M, T, D)
    return torch.baddbmm(keys, weights.flatten(1, 2).mT, values.flatten(1, 2))


def _scale(attention: Attention) -> float:
    """What SAM divides logits by, 1 / sqrt of a head's width."""
    width = int(attention.internal_dim) // int(attention.num_heads)
    return 1.0 / math.sqrt(width)


def _by_head(x: Tensor, attention: Attention) -> Tensor:
    """`(n, M d)` as `(M, n, d)`."""
    return x.view(len(x), int(attention.num_heads), -1).transpose(0, 1)


def _split_heads(x: Tensor, attention: Attention) -> Tensor:
    """`(P, T, M d)` as `(P, M, T, d)`."""
    return x.view(*x.shape[:2], int(attention.num_heads), -1).transpose(1, 2)


def _weight_by_head(weight: Tensor, attention: Attention) -> Tensor:
    """A projection's weight `(M d, D)` as `(M, d, D)`."""
    return weight.view(int(attention.num_heads), -1, weight.shape[1])
