"""Features of ViT-H's sizes for the read benchmarks: a real encoder on phantom slices.

SAM's weights may not be shipped, so they are random (`fill_with_seeded_noise`); all 32 blocks run,
in float32 as in the released code. For speed nothing but the sizes matters; for bytes the spread of
the exponents does.

Run: `uv run python benchmarks/embedding_features.py FILE [--slices 2]` (about a minute a slice)
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from desam_model.encoder.fused_vit import fuse_blocks
from desam_model.encoder.registry import encoder_entry
from desam_model.encoder.sam_vit import (
    FrozenSamEncoder,
    build_image_encoder,
    fill_with_seeded_noise,
)
from desam_model.types import Embedding
from sweeper.data.phantom.prostate import synthesise
from sweeper.data.phantom.scanner import SCANNERS
from sweeper.data.preprocessing import prepare_slices, profile


def phantom_slices(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Images and references `(n, 256, 256)` uint8, from the middle of a case of each site."""
    images, references = [], []
    for k in range(n):
        scanner = SCANNERS[k % len(SCANNERS)]
        image, label = synthesise(scanner, k)
        spacing = (scanner.slice_mm, scanner.pixel_mm, scanner.pixel_mm)
        made = prepare_slices(image[None], label, spacing, profile("desam"))
        middle = len(made.image) // 2
        images.append(made.image[middle, 0])
        references.append(made.label[middle])
    return np.stack(images), np.stack(references)


def encode_slices(n: int) -> torch.Tensor:
    """`(n, 4096, 64, 64)` float32: three taps of 1,280 channels, then the neck."""
    entry = encoder_entry("vit_h")
    image_encoder = build_image_encoder(entry)
    fill_with_seeded_noise(image_encoder, 0)
    fuse_blocks(image_encoder)
    encoder = FrozenSamEncoder(
        image_encoder=image_encoder, entry=entry, fingerprint="random", compute="float32-fused"
    )
    found = []
    for image in phantom_slices(n)[0]:
        made = encoder(torch.from_numpy(image)[None, None])
        found.append(torch.cat([*made.taps, made.neck], dim=1))
    return torch.cat(found)


def noise(n: int) -> torch.Tensor:
    """The same shape from a normal distribution with a log-normal scale a channel."""
    entry = encoder_entry("vit_h")
    generator = torch.Generator().manual_seed(0)
    channels = sum(shape.channels for shape in (*entry.taps, entry.neck))
    scale = torch.randn(channels, 1, 1, generator=generator).mul(0.5).exp()
    return scale * torch.randn(n, channels, *entry.neck.grid_hw, generator=generator)


def as_embedding(values: torch.Tensor) -> Embedding:
    """One slice's `(4096, 64, 64)` as taps and neck."""
    width = encoder_entry("vit_h").taps[0].channels
    return Embedding(
        taps=tuple(values[k * width : (k + 1) * width] for k in range(3)), neck=values[3 * width :]
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--slices", type=int, default=2)
    args = parser.parse_args()
    torch.save(encode_slices(args.slices), args.file)


if __name__ == "__main__":
    main()
