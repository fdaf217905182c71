"""Reading ViT-H embeddings: our store against the released layout and a raw memory map.

Run: `uv run python benchmarks/embedding_features.py FILE`, then
`uv run python benchmarks/embedding_read.py --features FILE [--slices 8] [--folder DIR]`.
Without `--features` the numbers are random normal ones.

A read is: a random slice, page cache warm, into float32 tensors that a training step could use.
Ours and the memory map do it as the loader does, into memory that earlier batches used, both with
the very same conversion; the released code makes new tensors.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from embedding_features import as_embedding, noise, phantom_slices

from desam_model.encoder.registry import encoder_entry
from desam_model.training.loader import BufferPool, Loader, collate
from desam_model.types import Embedding, Slice
from sweeper.store.embeddings.convert import convert_store
from sweeper.store.embeddings.manifest import Codec, EmbeddingManifest
from sweeper.store.embeddings.store import EmbeddingStore
from sweeper.store.embeddings.writer import ChunkWriter, StoreWriter

if TYPE_CHECKING:
    from collections.abc import Callable

RELEASED_SLICES = 2
READS = 24


def manifest_of(n: int, codec: Codec) -> EmbeddingManifest:
    entry = encoder_entry("vit_h")
    return EmbeddingManifest(
        dataset="random",
        dataset_fingerprint="0",
        encoder="vit_h",
        encoder_fingerprint="0",
        precision="float16",
        preprocessing=entry.preprocessing,
        compute="float32",
        block=1,
        codec=codec,
        n_slices=n,
        taps=entry.taps,
        neck=entry.neck,
        input_px=entry.input_px,
        product_version="benchmark",
        cases=(("case", n),),
    )


def make_store(path: Path, features: torch.Tensor, n: int, codec: Codec = "none") -> EmbeddingStore:
    """`n` slices, the features over and over."""
    manifest = manifest_of(n, codec)
    writer = ChunkWriter(path, manifest)
    with StoreWriter(path, manifest) as store_writer:
        for k in store_writer.missing:
            store_writer.commit([writer.write(k, as_embedding(features[k % len(features)]))])
    return EmbeddingStore.open(path)


def bytes_of_slices(store: EmbeddingStore) -> float:
    """Bytes of a slice's chunks, mean."""
    return sum(f.stat().st_size for f in store.path.glob("*/c.*")) / store.n_slices


def released_file(path: Path, values: torch.Tensor, k: int) -> None:
    """One file a slice as DeSAM f377da2 saves it: image, reference, ragged object array."""
    images, references = phantom_slices(k + 1)
    embedding = as_embedding(values)
    ragged = np.empty(4, dtype=object)
    for place, part in enumerate((*embedding.taps, embedding.neck)):
        ragged[place] = part.numpy()
    rgb = np.repeat(images[k][..., None], 3, axis=2)
    np.savez_compressed(path, imgs=rgb, gts=references[k], img_embeddings=ragged)


def read_released(path: Path) -> list[torch.Tensor]:
    ragged = np.load(path, allow_pickle=True)["img_embeddings"]
    return [torch.tensor(values).float() for values in ragged]


def as_slice(embedding: Embedding) -> Slice:
    return Slice(
        case="case",
        domain="A-ISBI",
        structure="prostate",
        z=0,
        is_last_foreground=False,
        spacing_mm=(1.0, 1.0, 1.0),
        reference=torch.zeros(256, 256, dtype=torch.uint8),
        image=None,
        embedding=embedding,
    )


def open_raw(folder: Path, features: torch.Tensor, n: int) -> Callable[[int], Embedding]:
    """One raw float16 file of all slices, read through `numpy.memmap`."""
    flat = features.flatten(1).half().numpy()
    file = folder / "raw.bin"
    raw = np.memmap(file, np.float16, "w+", shape=(n, flat.shape[1]))
    for k in range(n):
        raw[k] = flat[k % len(flat)]
    raw.flush()
    opened = np.memmap(file, np.float16, "c", shape=(n, flat.shape[1]))
    shape = features.shape[1:]
    return lambda k: as_embedding(torch.from_numpy(opened[k]).view(shape))


def times_ms(reads: dict[str, Callable[[int], object]], n: int) -> dict[str, float]:
    """Median of each way; they take turns in changing order, so that they see the same machine."""
    draw = np.random.default_rng(0)
    seconds: dict[str, list[float]] = {name: [] for name in reads}
    for k in range(n):
        for read in reads.values():
            read(k)
    for _ in range(READS):
        k = int(draw.integers(n))
        for name in draw.permutation(list(reads)):
            began = time.perf_counter()
            reads[name](k)
            seconds[name].append(time.perf_counter() - began)
    return {name: 1e3 * statistics.median(values) for name, values in seconds.items()}


def first_reads_ms(path: Path, n: int) -> float:
    """A slice's first read in a process, with its checksum, mean."""
    store, pool = EmbeddingStore.open(path), BufferPool()
    collate([as_slice(as_embedding(torch.zeros(4096, 64, 64)))], buffers=pool)
    began = time.perf_counter()
    for k in range(n):
        collate([as_slice(store.embedding(k))], buffers=pool)
    return 1e3 * (time.perf_counter() - began) / n


def loader_ms(store: EmbeddingStore) -> float:
    """What a training gets: a slice's share of an epoch of batches of two, shuffled."""
    slices = [as_slice(store.embedding(k)) for k in range(store.n_slices)]
    loader = Loader(slices, batch_size=2, shuffle_generator=torch.Generator().manual_seed(0))
    rounds = []
    for _ in range(4):
        began = time.perf_counter()
        for batch in loader:
            del batch
        rounds.append((time.perf_counter() - began) / len(slices))
    return 1e3 * min(rounds[1:])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--slices", type=int, default=8)
    parser.add_argument("--features", type=Path)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    features = torch.load(args.features) if args.features else noise(RELEASED_SLICES)
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder, n = Path(name), args.slices
        store = make_store(folder / "f16.zarr", features, n)
        zstd = make_store(folder / "zstd.zarr", features, RELEASED_SLICES, "zstd")
        int8 = convert_store(store, folder / "int8.zarr", "int8")
        small = convert_store(zstd, folder / "small.zarr", "int8")
        files = [folder / f"slice_{k}.npz" for k in range(RELEASED_SLICES)]
        for k, file in enumerate(files):
            released_file(file, features[k], k)
        raw = open_raw(folder, features, n)
        pool, of_raw, of_int8, of_zstd = (BufferPool() for _ in range(4))
        reads: dict[str, Callable[[int], object]] = {
            "ours, float16": lambda k: collate([as_slice(store.embedding(k))], buffers=pool),
            "numpy.memmap": lambda k: collate([as_slice(raw(k))], buffers=of_raw),
            "ours, int8": lambda k: collate([as_slice(int8.embedding(k))], buffers=of_int8),
        }
        # Apart, because giving memory back to the kernel disturbs whoever comes next.
        others: dict[str, Callable[[int], object]] = {
            "ours, zstd": lambda k: collate([as_slice(zstd.embedding(k % 2))], buffers=of_zstd),
            "ours, int8, zstd": lambda k: collate([as_slice(small.embedding(k % 2))]),
            "released": lambda k: read_released(files[k % 2]),
        }
        four = [as_slice(store.embedding(k % n)) for k in range(4)]
        batches: dict[str, Callable[[int], object]] = {
            "a batch of four": lambda k: collate(four, buffers=pool),
            "the same, new memory": lambda k: collate(four),
        }
        found = times_ms(reads, n) | times_ms(others, n) | times_ms(batches, n)
        ours = found["ours, float16"]
        print(f"a random slice into float32, ViT-H, warm, {torch.get_num_threads()} threads")
        for label, ms in found.items():
            print(f"  {label:26s} {ms:8.1f} ms   {ms / ours:7.2f} x the time of ours, float16")
        print(f"  first read, with checksum  {first_reads_ms(store.path, n):8.1f} ms")
        print(f"  share of an epoch          {loader_ms(store):8.1f} ms   (Loader, batches of 2)")
        per_file = statistics.mean(file.stat().st_size for file in files)
        print("bytes of a slice on disk")
        for label, size in (
            ("released file", per_file),
            ("float16", bytes_of_slices(store)),
            ("float16, zstd", bytes_of_slices(zstd)),
            ("int8", bytes_of_slices(int8)),
            ("int8, zstd", bytes_of_slices(small)),
        ):
            print(f"  {label:14s} {size / 2**20:8.2f} MiB   {size / per_file:.3f} of released")


if __name__ == "__main__":
    main()
