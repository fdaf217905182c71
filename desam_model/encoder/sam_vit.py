"""SAM's image encoder, frozen: computes the three taps and the neck of an image.

Source: `segment_anything` 1.0 (Apache-2.0), `modeling/image_encoder.py`. The outputs that DeSAM
keeps and its image preprocessing: DeSAM f377da2 `precompute_embeddings.py`, sources.md S14, S15.
"""

from __future__ import annotations

import hashlib
import math
from functools import partial
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from segment_anything import sam_model_registry
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor, nn
from torch.nn import functional

from desam_model.encoder.fused_vit import fuse_blocks
from desam_model.encoder.sam_checkpoint import image_encoder_weights
from desam_model.encoder.shapes import (
    PIXEL_MEAN,
    PIXEL_STD,
    Compute,
    EncoderShape,
    encoder_shape,
)
from desam_model.types import Embedding

if TYPE_CHECKING:
    from pathlib import Path

_VIT_TINY_SEED = 20240531

_HALF_PRECISION = {"bf16-fused": torch.bfloat16, "fp16-fused": torch.float16}


class FrozenSamEncoder(nn.Module):
    """SAM's image encoder that also returns the outputs of its first three global-attention blocks.

    It is frozen and always in eval mode. In float32 the neck is bit-identical to
    `image_encoder(preprocess(x))`, because the same module is run.

    Attributes:
        shape: Sizes of the encoder.
        fingerprint: Identity of the weights: SHA-256 of the checkpoint file, or of the weights.
        compute: Arithmetic of the encoder.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        *,
        image_encoder: nn.Module,
        shape: EncoderShape,
        fingerprint: str | None = None,
        compute: Compute = "float32",
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.shape = shape
        self.compute = compute
        self.fingerprint = fingerprint or hash_of_weights(image_encoder)
        self.register_buffer("pixel_mean", torch.tensor(PIXEL_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(PIXEL_STD).view(3, 1, 1), persistent=False)
        self._tapped: dict[int, Tensor] = {}
        blocks: Any = image_encoder.blocks
        for block in shape.tap_blocks:
            blocks[block].register_forward_hook(partial(self._keep, block))
        self.requires_grad_(False)
        self.eval()

    @property
    def input_px(self) -> int:
        """Side of the square input frame."""
        return self.shape.input_px

    @property
    def grid_hw(self) -> tuple[int, int]:
        """Tokens per column and per row of taps and neck."""
        return self.shape.grid_hw

    @property
    def tap_channels(self) -> int:
        """Channels of a tap."""
        return self.shape.tap_channels

    @property
    def neck_channels(self) -> int:
        """Channels of the neck."""
        return self.shape.neck_channels

    def train(self, mode: bool = True) -> FrozenSamEncoder:
        """Does nothing: the frozen encoder stays in eval mode."""
        del mode
        super().train(False)
        return self

    def preprocess(self, image: Tensor) -> Tensor:
        """Images as encoder input, `(B, 3, input_px, input_px)` float32, normalised.

        The longest side is resized to `input_px` in uint8 (antialiased bilinear, equal to the PIL
        resize of the release). Then SAM's mean and standard deviation are applied, and zeros are
        padded below and to the right.

        Args:
            image: `(B, 3, H, W)` or `(B, 1, H, W)` uint8, 0..255.

        Raises:
            TypeError: The image is not uint8.
            ValueError: The image has another number of dimensions or channels.
        """
        if image.dtype != torch.uint8:
            raise TypeError(f"image is {image.dtype}, expected uint8 with values 0..255")
        if image.ndim != 4 or image.shape[1] not in (1, 3):
            raise ValueError(f"image has shape {tuple(image.shape)}, expected (B, 3 or 1, H, W)")
        if image.shape[1] == 1:
            image = image.expand(-1, 3, -1, -1)
        resized = _resize_longest_side(image, self.input_px)
        device = self.pixel_mean.device
        if device.type == "cuda" and resized.device.type == "cpu":
            resized = resized.pin_memory()  # otherwise the copy waits for the computation
        resized = resized.to(device, non_blocking=True)
        normalised = (resized.float() - self.pixel_mean) / self.pixel_std
        height, width = normalised.shape[-2:]
        return functional.pad(normalised, (0, self.input_px - width, 0, self.input_px - height))

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Embedding:
        """The embedding of preprocessed images `(B, 3, input_px, input_px)` float32."""
        expected = (3, self.input_px, self.input_px)
        if tuple(frames.shape[1:]) != expected:
            raise ValueError(
                f"frames have shape {tuple(frames.shape)}, expected (B, {expected[0]},"
                f" {expected[1]}, {expected[2]}); prepare images with preprocess()"
            )
        half = _HALF_PRECISION.get(self.compute)
        # Matrix products in half precision; the residual stream and norms stay in float32
        with torch.autocast(frames.device.type, dtype=half, enabled=half is not None):
            neck = self.image_encoder(frames)
        # the transformer's (B, h, w, C) -> (B, C, h, w)
        taps = tuple(
            self._tapped[b].permute(0, 3, 1, 2).contiguous() for b in self.shape.tap_blocks
        )
        self._tapped.clear()
        return Embedding(taps=taps, neck=neck)

    def forward(self, image: Tensor) -> Embedding:
        """The embedding of images `(B, 3, H, W)` uint8, 0..255; grid `grid_hw`."""
        return self.encode(self.preprocess(image))

    def _keep(self, block: int, module: nn.Module, args: object, output: Tensor) -> None:
        del module, args
        self._tapped[block] = output


def build_encoder(
    name: str, checkpoint: Path | None = None, *, compute: Compute = "float32"
) -> FrozenSamEncoder:
    """The encoder with this name, on the CPU.

    Args:
        name: One of `encoders()`.
        checkpoint: File with its state dict; None if the encoder needs none.
        compute: `float32` runs SAM's original modules; the fused variants are faster, need less
            memory and give the same result up to rounding.

    Raises:
        ValueError: The name is unknown, or the checkpoint is missing, unreadable or of another
            model.
    """
    shape = encoder_shape(name)
    encoder: FrozenSamEncoder = resolve_name(shape.build)(shape, checkpoint, compute)
    return encoder


def build(shape: EncoderShape, checkpoint: Path | None, compute: Compute) -> FrozenSamEncoder:
    """SAM's image encoder with these sizes; see `build_encoder`."""
    if shape.filename is None:
        if checkpoint is not None:
            raise ValueError(
                f"{shape.name} has fixed random weights and takes no checkpoint; remove"
                f" {checkpoint} or choose an encoder with weights"
            )
        image_encoder = build_image_encoder(shape)
        fill_with_seeded_noise(image_encoder, _VIT_TINY_SEED)
        return _assemble(image_encoder, shape, hash_of_weights(image_encoder), compute)
    if checkpoint is None:
        raise ValueError(
            f"{shape.name} needs SAM's checkpoint {shape.filename}; download it with 'sweeper"
            f" weights get {shape.name}'"
        )
    with torch.device("meta"):
        image_encoder = sam_model_registry[shape.name]().image_encoder
    weights = image_encoder_weights(checkpoint, shape.name, image_encoder.state_dict())
    image_encoder.load_state_dict(weights, assign=True)
    return _assemble(image_encoder, shape, hash_of_file(checkpoint), compute)


def _assemble(
    image_encoder: nn.Module, shape: EncoderShape, fingerprint: str, compute: Compute
) -> FrozenSamEncoder:
    if compute != "float32":
        fuse_blocks(image_encoder)
    return FrozenSamEncoder(
        image_encoder=image_encoder, shape=shape, fingerprint=fingerprint, compute=compute
    )


def build_image_encoder(shape: EncoderShape) -> ImageEncoderViT:
    """SAM's `ImageEncoderViT` with the given sizes and its default initial weights."""
    return ImageEncoderViT(
        depth=shape.depth,
        embed_dim=shape.tap_channels,
        img_size=shape.input_px,
        mlp_ratio=4,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        num_heads=shape.num_heads,
        patch_size=shape.patch_px,
        qkv_bias=True,
        use_rel_pos=True,
        global_attn_indexes=shape.global_blocks,
        window_size=shape.window,
        out_chans=shape.neck_channels,
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


def hash_of_weights(module: nn.Module) -> str:
    """First 16 hex digits of the SHA-256 of all parameters and buffers, by name."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def hash_of_file(path: Path) -> str:
    """SHA-256 of a whole file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _resize_longest_side(image: Tensor, side: int) -> Tensor:
    """`(B, 3, h, w)` uint8 whose longer side is `side`; SAM's rule: `int(x * scale + 0.5)`."""
    height, width = image.shape[-2:]
    scale = side / max(height, width)
    size = (int(height * scale + 0.5), int(width * scale + 0.5))
    if size == (height, width):
        return image
    return functional.interpolate(
        image.cpu().contiguous(), size=size, mode="bilinear", antialias=True, align_corners=False
    )
