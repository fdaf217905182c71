"""Memory of workers that read the same store of ViT-H embeddings, one after another.

Run: `uv run python benchmarks/embedding_memory.py [--slices 16] [--workers 4] [--folder DIR]`

Each worker reads every slice into float32 tensors (memory of one slice, used again and again) and
keeps its maps. PSS is the kernel's: a page that four processes map counts a quarter in each.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from pathlib import Path
from typing import Any

import torch
from embedding_features import noise
from embedding_read import as_slice, make_store

from desam_model.training.loader import BufferPool, collate
from sweeper.store.embeddings.store import EmbeddingStore


def memory_mb(field: str) -> float:
    """A line of this process's `smaps_rollup`."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


def worker(path: Path, n: int, orders: Any, answers: Any) -> None:
    """Read when told to, and tell one's memory when asked."""
    torch.set_num_threads(1)
    torch.zeros(8).half().float()  # what torch loads at its first conversion is not the store's
    kept: list[object] = []
    pool = BufferPool()
    while (order := orders.get()) != "end":
        if order == "read":
            store = EmbeddingStore.open(path)
            kept.append(store)
            for k in range(n):
                collate([as_slice(store.embedding(k))], buffers=pool)
        answers.put((memory_mb("Pss"), memory_mb("Anonymous")))


class Worker:
    """A process of its own."""

    def __init__(self, path: Path, n: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.orders, self.answers = context.Queue(), context.Queue()
        self.process = context.Process(target=worker, args=(path, n, self.orders, self.answers))
        self.process.start()

    def ask(self, order: str) -> tuple[float, float]:
        """PSS and anonymous memory, MB, after the order."""
        self.orders.put(order)
        pss, anonymous = self.answers.get(timeout=300)
        return float(pss), float(anonymous)

    def end(self) -> None:
        """Let the process end."""
        self.orders.put("end")
        self.process.join()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--slices", type=int, default=16)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        store = make_store(Path(name) / "store.zarr", noise(2), args.slices)
        size = args.slices * store.manifest.slice_bytes / 2**20
        # All processes exist from the start, so that what they share of Python does not change.
        workers = [Worker(store.path, args.slices) for _ in range(args.workers)]
        try:
            at_start = [w.ask("measure")[0] for w in workers]
            print(f"{args.slices} slices, {size:.0f} MB; a Python process with torch: ", end="")
            print(f"{sum(at_start) / len(at_start):.0f} MB PSS")
            before = sum(at_start)
            for k, one in enumerate(workers, start=1):
                one.ask("read")
                found = [w.ask("measure") for w in workers]
                total = sum(pss for pss, _ in found)
                print(
                    f"  worker {k} reads all: together + {total - before:5.0f} MB"
                    f"   (its own PSS {found[k - 1][0]:.0f}, anonymous {found[k - 1][1]:.0f} MB)"
                )
                before = total
        finally:
            for one in workers:
                one.end()


if __name__ == "__main__":
    main()
