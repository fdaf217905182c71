"""Reading ViT-H embeddings: our store against the released layout and a raw memory map.

Run: `uv run python benchmarks/embedding_read.py [--slices 8] [--folder DIR]`
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from desam_model.encoder_shapes import PREPROCESSING, encoder_shape
from desam_model.types import Embedding
from sweeper.store.convert import convert_store
from sweeper.store.embedding_manifest import EmbeddingManifest
from sweeper.store.embedding_store import EmbeddingStore
from sweeper.store.embedding_writer import ChunkWriter, Filling

RELEASED_SLICES = 2
READS = 20


def embedding_of(k: int) -> Embedding:
    """Random features of ViT-H's widths whose channels differ in scale, as real ones do."""
    like = encoder_shape("vit_h")
    generator = torch.Generator().manual_seed(k)
    h, w = like.grid_hw
    scale = torch.randn(like.tap_channels, 1, 1, generator=generator).mul(0.5).exp()
    taps = tuple(
        scale * torch.randn(like.tap_channels, h, w, generator=generator) for _ in range(3)
    )
    return Embedding(taps=taps, neck=torch.randn(like.neck_channels, h, w, generator=generator))


def make_store(path: Path, n: int) -> EmbeddingStore:
    shape = encoder_shape("vit_h")
    manifest = EmbeddingManifest(
        dataset="random",
        dataset_fingerprint="0",
        encoder="vit_h",
        encoder_fingerprint="0",
        precision="float16",
        preprocessing=PREPROCESSING,
        compute="float32",
        block=1,
        codec="none",
        n_slices=n,
        num_taps=3,
        tap_channels=shape.tap_channels,
        neck_channels=shape.neck_channels,
        grid_hw=shape.grid_hw,
        input_px=shape.input_px,
        product_version="benchmark",
        cases=(("case", n),),
    )
    writer = ChunkWriter(path, manifest)
    with Filling(path, manifest) as filling:
        for k in filling.missing:
            filling.commit([writer.write(k, embedding_of(k))])
    return EmbeddingStore.open(path)


def released_file(path: Path, k: int) -> None:
    """`np.savez_compressed` of a ragged list as an object array (DeSAM f377da2)."""
    embedding = embedding_of(k)
    ragged = np.empty(4, dtype=object)
    for place, values in enumerate((*embedding.taps, embedding.neck)):
        ragged[place] = values.numpy()
    np.savez_compressed(path, img_embeddings=ragged)


def read_released(path: Path) -> list[torch.Tensor]:
    ragged = np.load(path, allow_pickle=True)["img_embeddings"]
    return [torch.tensor(values).float() for values in ragged]


def read_ours(store: EmbeddingStore, k: int) -> list[torch.Tensor]:
    embedding = store.embedding(k)
    return [values.float() for values in (*embedding.taps, embedding.neck)]


def read_memmap(raw: np.ndarray, k: int, cuts: list[int], shapes: list) -> list[torch.Tensor]:
    parts = torch.from_numpy(raw[k]).split(cuts)
    return [part.view(shape).float() for part, shape in zip(parts, shapes, strict=True)]


def median_ms(read, items: list) -> float:
    for item in items:
        read(item)
    order = np.random.default_rng(0).choice(len(items), max(READS, len(items)))
    seconds = []
    for position in order[: max(3, min(READS, 4 * len(items)))]:
        began = time.perf_counter()
        read(items[position])
        seconds.append(time.perf_counter() - began)
    return 1e3 * statistics.median(seconds)


def pss_mb() -> float:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def worker(path: Path, n: int, barrier, results) -> None:
    torch.set_num_threads(1)
    before = pss_mb()
    barrier.wait()
    store = EmbeddingStore.open(path)
    kept = [store.embedding(k) for k in range(n)]
    for embedding in kept:
        for values in (*embedding.taps, embedding.neck):
            values.sum()
    barrier.wait()
    results.put(pss_mb() - before)
    barrier.wait()


def workers_pss(path: Path, n: int, count: int) -> list[float]:
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(count), context.Queue()
    pool = [context.Process(target=worker, args=(path, n, barrier, results)) for _ in range(count)]
    for process in pool:
        process.start()
    found = [results.get(timeout=300) for _ in pool]
    for process in pool:
        process.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--slices", type=int, default=8)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        store = make_store(folder / "f16.zarr", args.slices)
        small = convert_store(store, folder / "int8.zarr", "int8")
        released = [folder / f"slice_{k}.npz" for k in range(RELEASED_SLICES)]
        for k, file in enumerate(released):
            released_file(file, k)
        shape = encoder_shape("vit_h")
        raw = np.lib.format.open_memmap(
            folder / "raw.npy", "w+", np.float16, (args.slices, shape.values_per_slice)
        )
        for k in range(args.slices):
            e = store.embedding(k)
            raw[k] = torch.cat([v.flatten() for v in (*e.taps, e.neck)]).numpy()
        raw.flush()
        raw = np.load(folder / "raw.npy", mmap_mode="c")
        shapes = [t.shape for t in (*e.taps, e.neck)]
        cuts = [s.numel() for s in shapes]
        indices = list(range(args.slices))
        ours = median_ms(lambda k: read_ours(store, k), indices)
        first = EmbeddingStore.open(store.path)
        began = time.perf_counter()
        for k in indices:
            read_ours(first, k)
        ours_first = 1e3 * (time.perf_counter() - began) / len(indices)
        int8 = median_ms(lambda k: read_ours(small, k), indices)
        memmap = median_ms(lambda k: read_memmap(raw, k, cuts, shapes), indices)
        npz = median_ms(read_released, released)
        npz_bytes = statistics.mean(f.stat().st_size for f in released)
        print(f"slice -> float32 tensors, ViT-H widths, warm, {torch.get_num_threads()} threads")
        print(
            f"  ours float16        {ours:9.1f} ms   (first read, with checksum {ours_first:.1f})"
        )
        print(f"  ours int8           {int8:9.1f} ms")
        print(f"  numpy.memmap        {memmap:9.1f} ms   ours is {memmap / ours:.2f} x as fast")
        print(f"  released npz        {npz:9.1f} ms   ours is {npz / ours:.1f} x as fast")
        print("bytes of a slice on disk")
        for label, size in (
            ("float16", store.manifest.slice_bytes),
            ("int8", small.manifest.slice_bytes),
            ("released npz", npz_bytes),
        ):
            print(f"  {label:14s} {size / 2**20:8.2f} MiB  {size / npz_bytes:.3f} of released")
        print(f"memory a worker adds to its Python process (PSS), {args.slices} slices mapped")
        for count in (1, 2, 4):
            found = workers_pss(store.path, args.slices, count)
            each = ", ".join(f"{mb:.0f} MB" for mb in found)
            print(f"  {count} workers: {each}, together {sum(found):.0f} MB")


if __name__ == "__main__":
    main()
