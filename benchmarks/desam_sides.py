"""What the DeSAM benchmarks share: sizes, random embeddings, FLOPs, rates, memory, tables."""

from __future__ import annotations

import multiprocessing
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from desam_model.training.process_memory import anonymous_bytes
from desam_model.types import Embedding

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTHS = {
    "vit_h": {"tap_channels": 1280, "neck_channels": 256, "grid_hw": (64, 64), "input_px": 1024},
    "vit_b": {"tap_channels": 768, "neck_channels": 256, "grid_hw": (64, 64), "input_px": 1024},
    "vit_tiny": {"tap_channels": 96, "neck_channels": 64, "grid_hw": (16, 16), "input_px": 256},
}
"""Encoder sizes a benchmark can run at."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side: wall and CPU seconds, peak bytes above what was there before, FLOPs."""

    name: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    flops: float


def random_embedding(widths: dict, size: int = 1, seed: int = 0) -> Embedding:
    """A seeded embedding of these widths, `size` slices."""
    generator = torch.Generator().manual_seed(seed)
    height, width = widths["grid_hw"]
    channels = [widths["tap_channels"]] * 3 + [widths["neck_channels"]]
    maps = [torch.randn(size, c, height, width, generator=generator) for c in channels]
    return Embedding(taps=tuple(maps[:3]), neck=maps[3])


def counted_flops(work: Callable[[], object]) -> float:
    """Multiplications and additions of the matrix products and convolutions of `work`."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def measured(name: str, work: Callable[[], object], flops: float, repeats: int) -> Side:
    """The fastest of `repeats` runs of `work`, and its peak memory above the state before."""
    peak, stop = [0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.002):
            peak[0] = max(peak[0], anonymous_bytes())

    before = anonymous_bytes()
    watcher = threading.Thread(target=watch)
    watcher.start()
    times, cpu_times = [], []
    for _ in range(repeats):
        started, cpu_started = time.perf_counter(), time.process_time()
        work()
        times.append(time.perf_counter() - started)
        cpu_times.append(time.process_time() - cpu_started)
    stop.set()
    watcher.join()
    return Side(
        name=name,
        seconds=min(times),
        cpu_seconds=min(cpu_times),
        peak_bytes=max(0, peak[0] - before),
        flops=flops,
    )


def in_own_process(function: Callable, *arguments: object) -> object:
    """`function(*arguments)` in a fresh process, so that memory of one side is not another's."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def product_rate(dtype: torch.dtype = torch.float32, side: int = 2048, repeats: int = 5) -> float:
    """FLOP per second of a large matrix product: what the machine can do.

    The faster of torch's two libraries for it, BLAS and oneDNN (which the convolutions use); on one
    AMD processor oneDNN was twice as fast.
    """
    a, b = torch.randn(side, side).to(dtype), torch.randn(side, side).to(dtype)
    products: list[Callable[[], object]] = [lambda: a @ b]
    if torch.backends.mkldnn.is_available():
        ours = a.to_mkldnn()
        products.append(lambda: functional.linear(ours, b))
    best = float("inf")
    for product in products:
        product()
        for _ in range(repeats):
            started = time.perf_counter()
            product()
            best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best


def print_rates(rates: dict[str, float]) -> None:
    """What the floors are computed with."""
    threads = torch.get_num_threads()
    for name, rate in rates.items():
        print(f"large {name} matrix product: {rate / 1e9:.0f} GFLOP/s on {threads} threads")


def print_table(sides: list[Side], rates: dict[str, float]) -> None:
    """All sides, each with its arithmetic floor (FLOPs over its rate) and its ratio to the first.

    Args:
        sides: What was measured.
        rates: FLOP per second by side name.
    """
    first = sides[0]
    print("| side | s | CPU s | TFLOP | floor, s | faster | less CPU | peak MiB | less memory |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for side in sides:
        floor = side.flops / rates[side.name]
        memory = first.peak_bytes / max(1, side.peak_bytes)
        print(
            f"| {side.name} | {side.seconds:.2f} | {side.cpu_seconds:.2f}"
            f" | {side.flops / 1e12:.3f} | {floor:.2f} | {first.seconds / side.seconds:.1f} x"
            f" | {first.cpu_seconds / side.cpu_seconds:.1f} x"
            f" | {side.peak_bytes / 2**20:.0f} | {memory:.1f} x |"
        )
