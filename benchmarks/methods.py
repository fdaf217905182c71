"""Seconds and memory of a training step for every method, beside the Baseline.

uv run python benchmarks/methods.py [--width 16] [--batch 4] [--steps 5]

Each method runs in a process of its own, so that its peak memory is its own. On a CPU the time is
processor time of one thread, which other work on the machine changes little; on a GPU wall time.
Image methods train the unified U-Net on 256 x 256 slices; MedSAM and DeSAM read embeddings of 16 x
16 tokens, taps of 96 and a neck of 64 channels, which no image network has to make.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time

import torch

from desam_model.encoder.entry import MapShape
from desam_model.training.memory import PeakMemory
from desam_model.training.process_memory import anonymous_bytes
from desam_model.types import Batch, Embedding
from sweeper.config.trial import TrialConfig
from sweeper.factory import Sizes, build_method

METHODS = {
    "unet": {},
    "advnoise": {},
    "advbias": {},
    "randconv": {},
    "mixstyle": {"probability": 1.0},
    "maxstyle": {"probability": 1.0},
    "csdg": {},
    "medsam": {},
    "desam": {},
}
SIZES = Sizes(
    image_channels=1,
    taps=(MapShape(96, (16, 16)),) * 3,
    neck=MapShape(64, (16, 16)),
    input_px=256,
)


def make_batch(size: int) -> Batch:
    generator = torch.Generator().manual_seed(0)
    reference = torch.zeros(size, 1, 256, 256)
    reference[:, :, 90:170, 80:160] = 1
    grid = SIZES.neck.grid_hw
    return Batch(
        reference=reference,
        image=0.5 * reference + 0.5 * torch.rand(size, 1, 256, 256, generator=generator),
        embedding=Embedding(
            taps=tuple(torch.randn(size, 96, *grid, generator=generator) for _ in range(3)),
            neck=torch.randn(size, 64, *grid, generator=generator),
        ),
    )


def measure(name: str, width: int, batch_size: int, steps: int) -> dict[str, float]:
    options = {"name": name} | METHODS[name]
    if name not in ("medsam", "desam"):
        options["network"] = {"width": width}
    config = TrialConfig.model_validate({"source": "A", "method": options})
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    method = build_method(config, SIZES, seed=0).to(device).train()
    optimizer = torch.optim.Adam(method.trainable_parameters(), lr=1e-4)
    batch, generator = make_batch(batch_size).to(device), torch.Generator().manual_seed(0)
    before = anonymous_bytes()
    memory, times = PeakMemory(device), []
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    for _ in range(steps + 1):
        if device.type == "cuda":
            torch.cuda.synchronize()
        start = clock()
        optimizer.zero_grad(set_to_none=True)
        loss = method.training_loss(batch, generator).total
        memory.sample()
        loss.backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(clock() - start)
    peak = memory.bytes() - (before if device.type == "cpu" else 0)
    parameters = sum(p.numel() for p in method.trainable_parameters())
    return {"seconds": statistics.median(times[1:]), "mb": peak / 2**20, "parameters": parameters}


def measure_apart(name: str, arguments: argparse.Namespace) -> dict[str, float]:
    """In a forked process, so that peak memory is the method's own."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(measure, (name, arguments.width, arguments.batch, arguments.steps))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=5)
    arguments = parser.parse_args()
    results = {name: measure_apart(name, arguments) for name in METHODS}
    base = results["unet"]
    print("| method | s / step | x Baseline | MB | x Baseline | trained parameters |")
    print("|---|---|---|---|---|---|")
    for name, found in results.items():
        speed, memory = found["seconds"] / base["seconds"], found["mb"] / base["mb"]
        print(
            f"| {name} | {found['seconds']:.3f} | {speed:.2f} | {found['mb']:.0f} | {memory:.2f} |"
            f" {found['parameters']:,.0f} |"
        )


if __name__ == "__main__":
    main()
