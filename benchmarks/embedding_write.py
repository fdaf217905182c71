"""Embedding throughput: ours against the released way, float32, one at a time, npz.

Run: `uv run python benchmarks/embedding_write.py [--encoder vit_tiny] [--slices 64]`, or
`... --encoder vit_b --slices 2 --block 1 --compute float32-fused --compute bf16-fused`.
The weights are random, also those of vit_b, vit_l and vit_h; a forward pass costs the same.
"against float32" is the largest relative difference of a tap or the neck.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from desam_model.encoder.entry import COMPUTES
from desam_model.encoder.fused_vit import fuse_blocks
from desam_model.encoder.registry import encoder_entry
from desam_model.encoder.sam_vit import (
    FrozenSamEncoder,
    build_image_encoder,
    fill_with_seeded_noise,
)
from sweeper.store.embeddings.manifest import EmbeddingManifest
from sweeper.store.embeddings.writer import ChunkWriter, StoreWriter
from sweeper.trial.encode import blocks_of, encode_blocks

if TYPE_CHECKING:
    from desam_model.types import Embedding


class RandomImages:
    """Images in memory, with the one method of a dataset store that encoding uses."""

    def image(self, index: int) -> np.ndarray:
        """`(1, 256, 256)` uint8."""
        draw = np.random.default_rng(index)
        return np.kron(draw.integers(0, 255, (1, 32, 32), np.uint8), np.ones((1, 8, 8), np.uint8))


def make_encoder(name: str, compute: str) -> FrozenSamEncoder:
    entry = encoder_entry(name)
    image_encoder = build_image_encoder(entry)
    fill_with_seeded_noise(image_encoder, 0)
    if compute != "float32":
        fuse_blocks(image_encoder)
    encoder = FrozenSamEncoder(
        image_encoder=image_encoder, entry=entry, fingerprint="random", compute=compute
    )
    return encoder.to("cuda") if torch.cuda.is_available() else encoder


def released_way(encoder: FrozenSamEncoder, folder: Path, n: int) -> float:
    """Seconds a slice: float32, one at a time, compressed object arrays."""
    images = RandomImages()
    device = encoder.pixel_mean.device
    began = time.perf_counter()
    for k in range(n):
        frames = encoder.preprocess(torch.from_numpy(images.image(k))[None])
        embedding = encoder.encode(frames.to(device))
        ragged = np.empty(4, dtype=object)
        for place, values in enumerate((*embedding.taps, embedding.neck)):
            ragged[place] = values[0].cpu().numpy()
        np.savez_compressed(folder / f"{k}.npz", img_embeddings=ragged)
    return (time.perf_counter() - began) / n


def our_way(encoder: FrozenSamEncoder, folder: Path, n: int, block: int) -> float:
    """Seconds a slice, with commits."""
    entry = encoder.entry
    manifest = EmbeddingManifest(
        dataset="random",
        dataset_fingerprint="0",
        encoder=entry.name,
        encoder_fingerprint="random",
        precision="float16",
        preprocessing=entry.preprocessing,
        compute=encoder.compute,
        block=block,
        codec="none",
        n_slices=n,
        taps=entry.taps,
        neck=entry.neck,
        input_px=entry.input_px,
        product_version="benchmark",
        cases=(("case", n),),
    )
    path = folder / f"{encoder.compute}.zarr"
    began = time.perf_counter()
    with StoreWriter(path, manifest) as store_writer:
        blocks = blocks_of(store_writer.missing, n, block)
        writer = ChunkWriter(path, manifest)
        for commits in encode_blocks(RandomImages(), range(n), encoder, writer, blocks, block):
            store_writer.commit(commits)
    return (time.perf_counter() - began) / n


def worst_difference(found: Embedding, wanted: Embedding) -> float:
    """Relative, over taps and neck."""
    pairs = zip((*found.taps, found.neck), (*wanted.taps, wanted.neck), strict=True)
    return max(((a.float() - b).norm() / b.norm()).item() for a, b in pairs)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--encoder", default="vit_tiny")
    parser.add_argument("--slices", type=int, default=64)
    parser.add_argument("--block", type=int, default=16)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--compute", action="append", choices=COMPUTES)
    args = parser.parse_args()
    flops = encoder_entry(args.encoder).flops_per_slice
    first = torch.from_numpy(RandomImages().image(0))[None]
    print(f"{args.encoder}, {args.slices} slices, {torch.get_num_threads()} threads")
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        plain = make_encoder(args.encoder, "float32")
        our_way(make_encoder("vit_tiny", "float32"), Path(name) / "first", 1, 1)  # imports Zarr
        wanted = plain(first)
        released = released_way(plain, Path(name), args.slices)
        print(f"  released way        {released:8.4f} s a slice")
        for compute in args.compute or COMPUTES:
            encoder = make_encoder(args.encoder, compute)
            difference = worst_difference(encoder(first), wanted)
            ours = our_way(encoder, Path(name), args.slices, args.block)
            print(
                f"  ours {compute:14s} {ours:8.4f} s a slice, {released / ours:5.2f} x,"
                f" {flops / ours / 1e9:4.0f} GFLOP/s, against float32 {difference:.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
