"""SAM's image encoder, frozen: computes the three taps and the neck of an image.

Source: `segment_anything` 1.0 (Apache-2.0), `modeling/image_encoder.py`. The outputs that DeSAM
keeps and its image preprocessing: DeSAM f377da2 `precompute_embeddings.py`, sources.md S14, S15.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from segment_anything import sam_model_registry
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor, nn

from desam_model.encoder.fingerprint import hash_of_file, hash_of_weights
from desam_model.encoder.frames import mean_std_frames
from desam_model.encoder.frozen import FrozenEncoder
from desam_model.encoder.fused_vit import fuse_blocks
from desam_model.encoder.sam_checkpoint import image_encoder_weights
from desam_model.encoder.sam_vit_entries import PIXEL_MEAN, PIXEL_STD, SamVitSizes
from desam_model.types import Embedding

if TYPE_CHECKING:
    from pathlib import Path

    from desam_model.encoder.entry import Compute, EncoderEntry

_VIT_TINY_SEED = 20240531


class FrozenSamEncoder(FrozenEncoder):
    """SAM's image encoder that also returns the outputs of its first three global-attention blocks.

    In float32 the neck is bit-identical to `image_encoder(preprocess(x))`, because the same module
    is run.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        *,
        image_encoder: nn.Module,
        entry: EncoderEntry,
        fingerprint: str | None = None,
        compute: Compute = "float32",
    ) -> None:
        super().__init__(
            entry=entry, fingerprint=fingerprint or hash_of_weights(image_encoder), compute=compute
        )
        self.image_encoder = image_encoder
        self.register_buffer("pixel_mean", torch.tensor(PIXEL_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(PIXEL_STD).view(3, 1, 1), persistent=False)
        self._tapped: dict[int, Tensor] = {}
        self._tap_blocks = _sizes(entry).tap_blocks
        blocks: Any = image_encoder.blocks
        for block in self._tap_blocks:
            blocks[block].register_forward_hook(partial(self._keep, block))
        self.freeze()

    def preprocess(self, image: Tensor) -> Tensor:
        """See `FrozenEncoder.preprocess`; SAM's mean and standard deviation."""
        return mean_std_frames(image, self.entry.input_px, self.pixel_mean, self.pixel_std)

    def maps(self, frames: Tensor) -> Embedding:
        """See `FrozenEncoder.maps`."""
        neck = self.image_encoder(frames)
        # the transformer's (B, h, w, C) -> (B, C, h, w)
        taps = tuple(self._tapped[b].permute(0, 3, 1, 2).contiguous() for b in self._tap_blocks)
        self._tapped.clear()
        return Embedding(taps=taps, neck=neck)

    def _keep(self, block: int, module: nn.Module, args: object, output: Tensor) -> None:
        del module, args
        self._tapped[block] = output


def build(entry: EncoderEntry, checkpoint: Path | None, compute: Compute) -> FrozenSamEncoder:
    """SAM's image encoder with these sizes; see `registry.build_encoder`."""
    if entry.weights is None:
        if checkpoint is not None:
            raise ValueError(
                f"{entry.name} has fixed random weights and takes no checkpoint; remove"
                f" {checkpoint} or choose an encoder with weights"
            )
        image_encoder = build_image_encoder(entry)
        fill_with_seeded_noise(image_encoder, _VIT_TINY_SEED)
        return _assemble(image_encoder, entry, hash_of_weights(image_encoder), compute)
    if checkpoint is None:
        raise ValueError(
            f"{entry.name} needs the file {entry.weights.filename}; {entry.weights.way}"
        )
    with torch.device("meta"):
        image_encoder = sam_model_registry[_sizes(entry).model]().image_encoder
    weights = image_encoder_weights(checkpoint, entry, image_encoder.state_dict())
    image_encoder.load_state_dict(weights, assign=True)
    return _assemble(image_encoder, entry, hash_of_file(checkpoint), compute)


def _sizes(entry: EncoderEntry) -> SamVitSizes:
    sizes = entry.sizes
    assert isinstance(sizes, SamVitSizes)
    return sizes


def _assemble(
    image_encoder: nn.Module, entry: EncoderEntry, fingerprint: str, compute: Compute
) -> FrozenSamEncoder:
    if compute != "float32":
        fuse_blocks(image_encoder)
    return FrozenSamEncoder(
        image_encoder=image_encoder, entry=entry, fingerprint=fingerprint, compute=compute
    )


def build_image_encoder(entry: EncoderEntry) -> ImageEncoderViT:
    """SAM's `ImageEncoderViT` with the given sizes and its default initial weights."""
    sizes = _sizes(entry)
    return ImageEncoderViT(
        depth=sizes.depth,
        embed_dim=sizes.width,
        img_size=entry.input_px,
        mlp_ratio=4,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        num_heads=sizes.num_heads,
        patch_size=sizes.patch_px,
        qkv_bias=True,
        use_rel_pos=True,
        global_attn_indexes=sizes.global_blocks,
        window_size=sizes.window,
        out_chans=entry.neck.channels,
    )


def fill_with_seeded_noise(image_encoder: nn.Module, seed: int) -> None:
    """Replace all weights with uniform noise that is the same on every machine, in place.

    The bound of matrices and filters is sqrt(3 / fan_in), which preserves the variance of their
    input; that of position tables is 0.5. Norms are the identity and biases are zero. MT19937's
    53-bit uniforms are integers divided by a power of two, so they do not depend on `libm`.
    """
    draw = np.random.RandomState(seed)
    for name, parameter in image_encoder.named_parameters():
        with torch.no_grad():
            if parameter.ndim == 1:
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)
                continue
            is_position = "pos" in name
            bound = 0.5 if is_position else math.sqrt(3.0 / math.prod(parameter.shape[1:]))
            noise = (2.0 * draw.random_sample(tuple(parameter.shape)) - 1.0) * bound
            parameter.copy_(torch.from_numpy(noise.astype(np.float32)))
