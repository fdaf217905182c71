"""SAM's ViTs in the registry: their sizes, files and pretraining; does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from desam_model.encoder.entry import EncoderEntry, MapShape, Pretraining, WeightsFile

SAM_URL = "https://dl.fbaipublicfiles.com/segment_anything/"
"""Where SAM's authors publish the checkpoints (segment-anything's README)."""

PIXEL_MEAN = (123.675, 116.28, 103.53)
"""SAM's channel means, of 0..255 RGB (segment_anything/build_sam.py)."""

PIXEL_STD = (58.395, 57.12, 57.375)
"""SAM's channel standard deviations."""

PREPROCESSING = (
    "longest side resized (uint8, bilinear, antialiased);"
    f" mean {PIXEL_MEAN}; std {PIXEL_STD}; zeros below and right"
)
"""A description of `sam_frames`; part of an embedding's identity."""

VIT_TINY_FINGERPRINT = "9703fd64bb634f24"
"""Hash of vit_tiny's weights, which are the same numbers on every machine."""

SA_1B = Pretraining(
    data="SA-1B (11 M natural images, masks made with people's corrections)",
    has_labels=True,
    is_medical=False,
    citation="Kirillov et al., Segment Anything, ICCV 2023",
    licence="Apache-2.0",
)

MEDSAM_DATA = Pretraining(
    data="SA-1B, then 1.57 M labelled medical images, MR among them",
    has_labels=True,
    is_medical=True,
    seen="its first release lists PROMISE12 and the Decathlon among its training sets",
    citation="Ma et al., Segment anything in medical images, Nature Communications 15:654, 2024",
    licence="Apache-2.0",
)
"""What MedSAM's weights have seen (sources.md S72)."""

RANDOM = Pretraining(
    data="nothing: random weights",
    has_labels=False,
    is_medical=False,
    is_random=True,
    citation="none",
    licence="Apache-2.0",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SamVitSizes:
    """Sizes of one of SAM's `ImageEncoderViT`s.

    Attributes:
        width: Channels of the transformer, and of its taps.
        depth: Number of transformer blocks.
        num_heads: Attention heads per block.
        window: Side of the attention windows in the blocks without global attention, in tokens.
        global_blocks: 0-based blocks with global attention; the first three give the taps.
        patch_px: Side of the square that becomes one token.
        model: Its name in `segment_anything.sam_model_registry`; empty for random weights.
    """

    width: int
    depth: int
    num_heads: int
    window: int
    global_blocks: tuple[int, ...]
    patch_px: int = 16
    model: str = ""

    @property
    def tap_blocks(self) -> tuple[int, ...]:
        """The blocks whose outputs are the taps (sources.md S15: 7, 15, 23 for ViT-H, 0-based)."""
        return self.global_blocks[:3]


def sam_vit_entry(
    name: str,
    *,
    sizes: SamVitSizes,
    input_px: int,
    neck_channels: int,
    parameters: int,
    description: str,
    block: int,
    pretraining: Pretraining,
    weights: WeightsFile | None = None,
    fingerprint: str = "",
) -> EncoderEntry:
    """The entry of an encoder with SAM's architecture; arguments as in `EncoderEntry`."""
    side = input_px // sizes.patch_px
    tap = MapShape(sizes.width, (side, side))
    return EncoderEntry(
        name=name,
        description=description,
        input_px=input_px,
        preprocessing=PREPROCESSING,
        taps=(tap,) * len(sizes.tap_blocks),
        neck=MapShape(neck_channels, (side, side)),
        parameters=parameters,
        flops_per_slice=_flops(sizes, side, neck_channels),
        block=block,
        build="desam_model.encoder.sam_vit:build",
        check="desam_model.encoder.sam_checkpoint:check_sam_checkpoint" if weights else "",
        weights=weights,
        fingerprint=fingerprint,
        pretraining=pretraining,
        sizes=sizes,
    )


def _flops(sizes: SamVitSizes, side: int, neck_channels: int) -> float:
    """Operations of one forward pass."""
    tokens, width = side**2, sizes.width
    linear = 24.0 * tokens * width * width  # qkv 3, proj 1, mlp 8 matrices of width^2
    padded = (-(-side // sizes.window) * sizes.window) ** 2
    local = 4.0 * padded * sizes.window**2 * width
    global_ = 4.0 * tokens * tokens * width
    n_global = len(sizes.global_blocks)
    neck = 2.0 * tokens * neck_channels * (width + 9 * neck_channels)
    return sizes.depth * linear + (sizes.depth - n_global) * local + n_global * global_ + neck


def _sam_file(name: str, filename: str) -> WeightsFile:
    return WeightsFile(
        filename=filename,
        way=f"run 'sweeper weights get {name}', or download {SAM_URL}{filename} yourself",
        md5_prefix=filename.removesuffix(".pth").rsplit("_", 1)[1],
        url=SAM_URL,
    )


class _Size(NamedTuple):
    """Sizes in which SAM's encoders differ; the rest they share (segment_anything/build_sam.py)."""

    model: str
    width: int
    depth: int
    heads: int
    parameters: int
    block: int


_B = _Size("vit_b", width=768, depth=12, heads=12, parameters=89_670_912, block=4)
_L = _Size("vit_l", width=1024, depth=24, heads=16, parameters=308_278_272, block=2)
_H = _Size("vit_h", width=1280, depth=32, heads=16, parameters=637_026_048, block=2)


def _vit(
    name: str,
    size: _Size,
    weights: WeightsFile,
    description: str = "SAM's own",
    pretraining: Pretraining = SA_1B,
) -> EncoderEntry:
    """One of SAM's encoders."""
    quarter = size.depth // 4
    return sam_vit_entry(
        name,
        sizes=SamVitSizes(
            width=size.width,
            depth=size.depth,
            num_heads=size.heads,
            window=14,
            global_blocks=tuple(quarter * (i + 1) - 1 for i in range(4)),
            model=size.model,
        ),
        input_px=1024,
        neck_channels=256,
        parameters=size.parameters,
        description=description,
        block=size.block,
        pretraining=pretraining,
        weights=weights,
    )


VIT_TINY = sam_vit_entry(
    "vit_tiny",
    sizes=SamVitSizes(width=64, depth=8, num_heads=4, window=7, global_blocks=(1, 3, 5, 7)),
    input_px=128,
    neck_channels=32,
    parameters=468_160,
    description="small, random and seeded, for trying out",
    block=16,
    pretraining=RANDOM,
    fingerprint=VIT_TINY_FINGERPRINT,
)
"""The default: it needs no file, and its weights are the same on every machine."""

SAM_VITS = (
    VIT_TINY,
    _vit("vit_b", _B, _sam_file("vit_b", "sam_vit_b_01ec64.pth")),
    _vit("vit_l", _L, _sam_file("vit_l", "sam_vit_l_0b3195.pth")),
    _vit("vit_h", _H, _sam_file("vit_h", "sam_vit_h_4b8939.pth")),
    _vit(
        "medsam_vit_b",
        _B,
        WeightsFile(
            filename="medsam_vit_b.pth",
            way="download medsam_vit_b.pth from the address in MedSAM's README"
            " (github.com/bowang-lab/MedSAM)",
        ),
        "SAM's vit_b with MedSAM's weights",
        MEDSAM_DATA,
    ),
)
"""All encoders of this family."""
