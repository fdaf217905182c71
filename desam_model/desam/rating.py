"""Rates many prompts on one image with PRIM, by an exact reformulation and in bounded memory.

The result equals that of PRIM's transformer in `prim.py`, at a lower cost:

- The projections of the image tokens in the first layer are the same for every prompt, so they are
  computed once (`_SharedImage`).
- A prompt has seven tokens, an image has thousands. Attention therefore projects the prompt tokens
  instead of the image tokens: q.(W k) = (W'q).k, and W(sum a v) = sum a (W v). Terms that are
  constant along a softmax cancel and are left out.
- The last attention is computed for the IoU token only.

Shapes in this module: P prompts, T tokens per prompt, N image tokens, M heads, d channels per head,
G = M T.
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
"""Image-token values per prompt batch on a CPU: two prompts at SAM's sizes. Larger batches do not
fit into the cache and are not faster (81 prompts on one thread: 1.13 s in batches of two, 1.17 s in
fours, 2.15 s in nines)."""

GPU_FACTOR = 8
"""Batches are this many times larger on a GPU: 16 prompts at SAM's sizes, about 300 MB."""

TIE = 1e-5
"""Relative difference of predicted IoUs below which two prompts count as tied. The float32 rounding
error of the reformulation is about 1e-7."""


def rate_prompts(prim: PRIM, image: Tensor, image_pe: Tensor, sparse: Tensor) -> Tensor:
    """Predicted IoU `(B, P)` of every prompt on every slice.

    Args:
        prim: The trained PRIM.
        image: `(B, D, h, w)`, the image that PRIM attends to (neck plus "no mask" embedding).
        image_pe: `(1, D, h, w)`, its positional encoding.
        sparse: `(P, n, D)`, tokens of the prompts.
    """
    rows = []
    for slice_image in torch.split(image, 1):
        batches = _prompt_batches(prim, slice_image, image_pe, sparse)
        rows.append(torch.cat([_rate(prim, tokens, keys, pe) for tokens, keys, pe in batches]))
    return torch.stack(rows)


def best_prompts(prim: PRIM, image: Tensor, image_pe: Tensor, sparse: Tensor) -> Tensor:
    """Index `(B,)` of the prompt with the highest predicted IoU; arguments as `rate_prompts`.

    Tied prompts (`TIE`) are rated again by PRIM itself, and among equal ratings the first prompt is
    taken. So rounding errors do not decide which prompt is chosen.
    """
    best = []
    ratings = rate_prompts(prim, image, image_pe, sparse)
    for slice_image, row in zip(torch.split(image, 1), ratings, strict=True):
        tied = row >= row.max() - TIE * (1.0 + row.abs().max())
        candidates = tied.nonzero()[:, 0]
        if len(candidates) > 1:
            exact = [
                prim(slice_image.expand(len(batch), -1, -1, -1), image_pe, sparse[batch])[0][:, 0]
                for batch in torch.split(candidates, _prompts_at_once(slice_image))
            ]
            candidates = candidates[torch.cat(exact).argmax()][None]
        # with a nan rating no prompt is best; argmax returns the nan, which the caller then sees
        best.append(candidates if len(candidates) else row.argmax()[None])
    return torch.cat(best)


def mean_mask_embedding(prim: PRIM, image: Tensor, image_pe: Tensor, sparse: Tensor) -> Tensor:
    """Mask embedding averaged over the prompts, `(B, D, h, w)`; arguments as `rate_prompts`."""
    means = []
    for slice_image in torch.split(image, 1):
        batches = _prompt_batches(prim, slice_image, image_pe, sparse)
        total = torch.stack([keys.sum(dim=0) for _, keys, _ in batches]).sum(dim=0)  # (N, D)
        means.append((total / len(sparse)).T.reshape(slice_image.shape[1:]))
    return torch.stack(means)


class _LastLayer(NamedTuple):
    """Output of the last layer for one prompt batch; keys `(P, N, D)`, pe `(N, D)`."""

    tokens: _Tokens
    keys: Tensor
    pe: Tensor


class _Tokens(NamedTuple):
    """Prompt tokens `(P, T, D)`: their current values, and their initial ones (the encoding)."""

    current: Tensor
    encoding: Tensor


def _prompt_batches(
    prim: PRIM, image: Tensor, image_pe: Tensor, sparse: Tensor
) -> Iterator[_LastLayer]:
    """PRIM's transformer without its last attention, for batches of prompts on one slice."""
    image_tokens = image[0].flatten(1).T.contiguous()  # (N, D)
    pe = image_pe[0].flatten(1).T.contiguous()
    first, *rest = prim.transformer.layers
    shared = _SharedImage.of(first, image_tokens, pe)
    for prompts in torch.split(sparse, _prompts_at_once(image)):
        encoding = prim.tokens(prompts)
        tokens, keys = _first_layer(first, encoding, image_tokens, shared)
        for layer in rest:
            tokens, keys = _later_layer(layer, tokens, encoding, keys, pe)
        yield _LastLayer(_Tokens(tokens, encoding), keys, pe)


def _prompts_at_once(image: Tensor) -> int:
    elements = MAX_BATCH_ELEMENTS * (GPU_FACTOR if image.is_cuda else 1)
    return max(1, elements // image[0].numel())


class _SharedImage(NamedTuple):
    """Projections of the initial image tokens, each `(M, N, d)`, equal for all prompts.

    Attributes:
        key: Keys of the token-to-image attention.
        value: Values of the token-to-image attention.
        query: Queries of the image-to-token attention.
    """

    key: Tensor
    value: Tensor
    query: Tensor

    @staticmethod
    def of(layer: TwoWayAttentionBlock, image: Tensor, pe: Tensor) -> _SharedImage:
        """The first layer's projections of `image` and `pe`, both `(N, D)`."""
        to_image, to_token = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
        image_with_pe = image + pe
        return _SharedImage(
            key=_by_head(to_image.k_proj(image_with_pe), to_image),
            value=_by_head(to_image.v_proj(image), to_image),
            query=_by_head(to_token.q_proj(image_with_pe), to_token),
        )


def _first_layer(
    layer: TwoWayAttentionBlock, encoding: Tensor, image: Tensor, shared: _SharedImage
) -> tuple[Tensor, Tensor]:
    """Tokens `(P, T, D)` and keys `(P, N, D)` after the first layer, with shared projections."""
    prompts, count, _ = encoding.shape
    # self-attention of the tokens
    tokens = layer.norm1(layer.self_attn(q=encoding, k=encoding, v=encoding))
    # cross-attention: tokens attend to the image
    to_image = layer.cross_attn_token_to_image
    query = to_image.q_proj(tokens + encoding) * _scale(to_image)
    query = _by_head(query.flatten(0, 1), to_image)  # (M, P T, d)
    weights = torch.bmm(query, shared.key.mT).softmax(dim=-1)  # (M, P T, N)
    attended = torch.bmm(weights, shared.value)  # (M, P T, d)
    attended = attended.transpose(0, 1).reshape(prompts, count, -1)
    tokens = layer.norm2(tokens + to_image.out_proj(attended))
    # MLP of the tokens
    tokens = layer.norm3(tokens + layer.mlp(tokens))
    # cross-attention: the image attends to the tokens
    to_token = layer.cross_attn_image_to_token
    key = to_token.k_proj(tokens + encoding) * _scale(to_token)
    key = _by_head(key.flatten(0, 1), to_token)
    logits = torch.bmm(key, shared.query.mT).view(len(key), prompts, count, -1)  # (M, P, T, N)
    weights = logits.softmax(dim=2).transpose(0, 1)
    keys = _add_attended_tokens(to_token, weights, tokens, image.expand(prompts, -1, -1))
    return tokens, layer.norm4(keys)


def _later_layer(
    layer: TwoWayAttentionBlock, tokens: Tensor, encoding: Tensor, keys: Tensor, pe: Tensor
) -> tuple[Tensor, Tensor]:
    """Tokens and keys after a later layer, whose image tokens differ between prompts."""
    # self-attention of the tokens
    query = tokens + encoding
    tokens = layer.norm1(tokens + layer.self_attn(q=query, k=query, v=tokens))
    # cross-attention: tokens attend to the image
    keys_with_pe = keys + pe  # (P, N, D)
    to_image = layer.cross_attn_token_to_image
    attended = _attend_to_image(to_image, tokens + encoding, keys_with_pe, keys)
    tokens = layer.norm2(tokens + attended)
    # MLP of the tokens
    tokens = layer.norm3(tokens + layer.mlp(tokens))
    # cross-attention: the image attends to the tokens
    to_token = layer.cross_attn_image_to_token
    key = _split_heads(to_token.k_proj(tokens + encoding) * _scale(to_token), to_token)
    projected = key @ _weight_by_head(to_token.q_proj.weight, to_token)  # (P, M, T, D)
    bias = key @ to_token.q_proj.bias.view(to_token.num_heads, -1, 1)  # (P, M, T, 1)
    logits = torch.bmm(projected.flatten(1, 2), keys_with_pe.mT).view(*projected.shape[:3], -1)
    weights = (logits + bias).softmax(dim=2)  # (P, M, T, N)
    return tokens, layer.norm4(_add_attended_tokens(to_token, weights, tokens, keys))


def _rate(prim: PRIM, tokens: _Tokens, keys: Tensor, pe: Tensor) -> Tensor:
    """Predicted IoU `(P,)`: the last attention, for the IoU token only."""
    transformer = prim.transformer
    iou_token, encoding = tokens.current[:, :1], tokens.encoding[:, :1]
    final = transformer.final_attn_token_to_image
    attended = _attend_to_image(final, iou_token + encoding, keys + pe, keys)
    return prim.rate(transformer.norm_final_attn(iou_token + attended)[:, 0])[:, 0]


def _attend_to_image(
    attention: Attention, query: Tensor, keys_with_pe: Tensor, keys: Tensor
) -> Tensor:
    """Attention of tokens `(P, T, D)` to the image; only the tokens are projected.

    The bias of the key projection adds a constant to each row of logits and cancels in the softmax.
    The weights of a row sum to one, so the bias of the value projection is added once.
    """
    query = _split_heads(attention.q_proj(query) * _scale(attention), attention)  # (P, M, T, d)
    projected = query @ _weight_by_head(attention.k_proj.weight, attention)  # (P, M, T, D)
    weights = torch.bmm(projected.flatten(1, 2), keys_with_pe.mT).softmax(dim=-1)  # (P, G, N)
    attended = torch.bmm(weights, keys).view(projected.shape)  # (P, M, T, D)
    value = attended @ _weight_by_head(attention.v_proj.weight, attention).mT  # (P, M, T, d)
    value = value.transpose(1, 2).flatten(2) + attention.v_proj.bias
    out: Tensor = attention.out_proj(value)
    return out


def _add_attended_tokens(
    attention: Attention, weights: Tensor, tokens: Tensor, keys: Tensor
) -> Tensor:
    """The image `(P, N, D)` plus its attention to the tokens; `weights` `(P, M, T, N)`."""
    value = _split_heads(attention.v_proj(tokens), attention)  # (P, M, T, d)
    out = attention.out_proj.weight.view(len(attention.out_proj.weight), attention.num_heads, -1)
    # the weights of a head sum to one over its tokens, so each head adds its share of the bias
    values = value @ out.permute(1, 2, 0) + attention.out_proj.bias / out.shape[1]  # (P, M, T, D)
    return torch.baddbmm(keys, weights.flatten(1, 2).mT, values.flatten(1, 2))


def _scale(attention: Attention) -> float:
    """SAM's scale of attention logits, 1 / sqrt(channels per head)."""
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
