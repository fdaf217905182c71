"""The registry of frozen encoders: sizes, file names and identities, without building one.

This module does not import torch, so that planning is fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from desam_model.plugins import registry

if TYPE_CHECKING:
    from collections.abc import Mapping

PLUGINS = "sweeper.encoders"
"""Entry point group through which other packages add their `EncoderShape`."""

Compute = Literal["float32", "float32-fused", "bf16-fused", "fp16-fused"]
"""Arithmetic of an encoder: SAM's original blocks, or fused blocks in one of three precisions."""

COMPUTES: tuple[Compute, ...] = ("float32", "float32-fused", "bf16-fused", "fp16-fused")
"""All values of `Compute`."""

PIXEL_MEAN = (123.675, 116.28, 103.53)
"""SAM's channel means, of 0..255 RGB (segment_anything/build_sam.py)."""

PIXEL_STD = (58.395, 57.12, 57.375)
"""SAM's channel standard deviations."""

PREPROCESSING = (
    "longest side resized (uint8, bilinear, antialiased);"
    f" mean {PIXEL_MEAN}; std {PIXEL_STD}; zeros below and right"
)
"""A description of `FrozenSamEncoder.preprocess`; part of an embedding's identity."""

VIT_TINY_FINGERPRINT = "9703fd64bb634f24"
"""Hash of vit_tiny's weights, which are the same numbers on every machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderShape:
    """Sizes of an encoder and of its outputs.

    Attributes:
        name: Key in configs, options and manifests.
        description: A short phrase for help texts and docs.
        block: Slices per encoder batch; part of a store's manifest, so that every run forms the
            same batches.
        build: `package.module:function` with the signature `(shape, checkpoint, compute)`. It
            returns a `FrozenSamEncoder` or a module with the same interface, and is imported only
            when slices are encoded.
        input_px: Side of the square input frame.
        patch_px: Side of the square that becomes one token.
        tap_channels: Width of the transformer, which is also that of its taps.
        depth: Number of transformer blocks.
        num_heads: Attention heads per block.
        window: Side of the attention windows in the blocks without global attention, in tokens.
        global_blocks: 0-based blocks with global attention; the first three give the taps.
        neck_channels: Channels of the final output.
        filename: File name of SAM's checkpoint, whose suffix is the start of its MD5; None if the
            encoder has no checkpoint.
        parameters: Number of parameters of the image encoder.
    """

    name: str
    input_px: int
    patch_px: int = 16
    tap_channels: int
    depth: int
    num_heads: int
    window: int
    global_blocks: tuple[int, ...]
    neck_channels: int
    filename: str | None
    parameters: int
    description: str
    block: int
    build: str = "desam_model.encoder.sam_vit:build"

    @property
    def grid_hw(self) -> tuple[int, int]:
        """Tokens per column and per row."""
        side = self.input_px // self.patch_px
        return side, side

    @property
    def tap_blocks(self) -> tuple[int, ...]:
        """The blocks whose outputs are the taps (sources.md S15: 7, 15, 23 for ViT-H, 0-based)."""
        return self.global_blocks[:3]

    @property
    def values_per_slice(self) -> int:
        """Number of values in the embedding of one slice."""
        h, w = self.grid_hw
        return (len(self.tap_blocks) * self.tap_channels + self.neck_channels) * h * w

    @property
    def flops_per_slice(self) -> float:
        """Floating point operations of one forward pass (2 per multiply-add), from the sizes."""
        tokens, width = self.grid_hw[0] ** 2, self.tap_channels
        linear = 24.0 * tokens * width * width  # qkv 3, proj 1, mlp 8 matrices of width^2
        padded = (-(-self.grid_hw[0] // self.window) * self.window) ** 2
        local = 4.0 * padded * self.window**2 * width
        global_ = 4.0 * tokens * tokens * width
        n_global = len(self.global_blocks)
        neck = 2.0 * tokens * self.neck_channels * (width + 9 * self.neck_channels)
        return self.depth * linear + (self.depth - n_global) * local + n_global * global_ + neck


def _sam(name: str, *, heads: int, filename: str, **sizes: int) -> EncoderShape:
    """One of SAM's encoders; they share input, window and neck (segment_anything/build_sam.py)."""
    depth = sizes["depth"]
    quarter = depth // 4
    return EncoderShape(
        name=name,
        input_px=1024,
        tap_channels=sizes["width"],
        depth=depth,
        num_heads=heads,
        window=14,
        global_blocks=tuple(quarter * (i + 1) - 1 for i in range(4)),
        neck_channels=256,
        filename=filename,
        parameters=sizes["parameters"],
        description="SAM's own",
        block=sizes["block"],
    )


VIT_TINY = EncoderShape(
    name="vit_tiny",
    input_px=128,
    tap_channels=64,
    depth=8,
    num_heads=4,
    window=7,
    global_blocks=(1, 3, 5, 7),
    neck_channels=32,
    filename=None,
    parameters=468_160,
    description="small, random and seeded, for trying out",
    block=16,
)
"""The default: it needs no file, and its weights are the same on every machine."""

_BUILT_IN = (
    VIT_TINY,
    _sam(
        "vit_b",
        block=4,
        width=768,
        depth=12,
        heads=12,
        filename="sam_vit_b_01ec64.pth",
        parameters=89_670_912,
    ),
    _sam(
        "vit_l",
        block=2,
        width=1024,
        depth=24,
        heads=16,
        filename="sam_vit_l_0b3195.pth",
        parameters=308_278_272,
    ),
    _sam(
        "vit_h",
        block=2,
        width=1280,
        depth=32,
        heads=16,
        filename="sam_vit_h_4b8939.pth",
        parameters=637_026_048,
    ),
)


@cache
def encoders() -> Mapping[str, EncoderShape]:
    """All encoders by name: the built-in ones, then those of other packages.

    Raises:
        PluginError: An encoder of another package cannot be used.
    """
    return registry(PLUGINS, _BUILT_IN, EncoderShape)


def encoder_shape(name: str) -> EncoderShape:
    """Sizes of the encoder with this name.

    Raises:
        ValueError: There is no such encoder.
    """
    shape = encoders().get(name)
    if shape is None:
        raise ValueError(f"encoder is {name!r}, expected one of {', '.join(encoders())}")
    return shape
