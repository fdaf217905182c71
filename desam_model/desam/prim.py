"""PRIM, the prompt-relevant IoU module: predicts the IoU of a prompt and its mask embedding."""

from __future__ import annotations

import torch
from segment_anything.modeling.mask_decoder import MLP
from segment_anything.modeling.transformer import TwoWayTransformer
from torch import Tensor, nn

NUM_MASK_TOKENS = 4
"""SAM has three multimask outputs and one single-mask output."""


class PRIM(nn.Module):
    """SAM's two-way transformer and IoU head; the updated image tokens are the mask embedding.

    Parameters have the authors' names, which there start with `mask_decoder.`.

    Deviation: the release also builds SAM's `output_upscaling` and hypernetworks but does not use
    them; they are not built here.

    Args:
        dim: Token width D, equal to the encoder's neck channels.
        depth: Number of two-way attention blocks.
        num_heads: Number of attention heads; by default 8 for D of 128 and more (SAM has 256), and
            D / 16 below.
        mlp_dim: Hidden width of the token MLP; by default D**2 / 32, which is SAM's 2048 for 256.
        iou_hidden_dim: Hidden width of the IoU head; by default D, as in SAM.

    Source:
        DeSAM, `desam/modeling/mask_decoder.py`, f377da2 (sources.md S16); SAM, `build_sam.py`.
    """

    def __init__(
        self,
        *,
        dim: int,
        depth: int = 2,
        num_heads: int | None = None,
        mlp_dim: int | None = None,
        iou_hidden_dim: int | None = None,
    ) -> None:
        super().__init__()
        heads = default_heads(dim) if num_heads is None else num_heads
        if dim % 2 or (dim // 2) % heads:
            raise ValueError(
                f"PRIM's width is {dim} with {heads} heads; half the width must be a multiple of"
                " the number of heads"
            )
        self.dim = dim
        self.transformer = TwoWayTransformer(
            depth=depth,
            embedding_dim=dim,
            num_heads=heads,
            mlp_dim=max(dim, dim * dim // 32) if mlp_dim is None else mlp_dim,
        )
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(NUM_MASK_TOKENS, dim)
        self.iou_prediction_head = MLP(dim, iou_hidden_dim or dim, NUM_MASK_TOKENS, 3)

    def tokens(self, sparse: Tensor) -> Tensor:
        """All tokens `(B, 5 + N, D)`: the IoU token, four mask tokens, then the prompt's tokens."""
        output_tokens = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        return torch.cat([output_tokens.expand(len(sparse), -1, -1), sparse], dim=1)

    def freeze_rating(self) -> None:
        """Exclude from training the layers that only the predicted IoU needs."""
        self.iou_prediction_head.requires_grad_(False)
        self.transformer.final_attn_token_to_image.requires_grad_(False)
        self.transformer.norm_final_attn.requires_grad_(False)

    def rate(self, iou_token_out: Tensor) -> Tensor:
        """Predicted IoU `(B, 1)`, unbounded, from the transformer's first token `(B, D)`."""
        ious: Tensor = self.iou_prediction_head(iou_token_out)
        return ious[:, :1]

    def forward(self, image: Tensor, image_pe: Tensor, sparse: Tensor) -> tuple[Tensor, Tensor]:
        """Predicted IoU `(B, 1)` and mask embedding `(B, D, h, w)` of one prompt per sample.

        Args:
            image: `(B, D, h, w)`, the neck plus SAM's dense "no mask" embedding.
            image_pe: `(1, D, h, w)` or `(B, D, h, w)`, positional encoding of the image tokens.
            sparse: `(B, N, D)`, tokens of the prompt.

        Raises:
            ValueError: The widths differ.
        """
        if image.shape[1] != self.dim or sparse.shape[-1] != self.dim:
            raise ValueError(
                f"PRIM has width {self.dim}, but the image has shape {tuple(image.shape)} and the"
                f" prompt tokens {tuple(sparse.shape)}; the widths must be equal"
            )
        out, keys = self.transformer(image, image_pe.expand_as(image), self.tokens(sparse))
        mask_embedding = keys.transpose(1, 2).reshape(image.shape)  # (B, D, h, w)
        return self.rate(out[:, 0]), mask_embedding


def default_heads(dim: int) -> int:
    """Number of attention heads for a width: 8 for SAM's 256, 4 for 64."""
    return max(1, min(8, dim // 16))
