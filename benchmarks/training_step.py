"""One training step (forward, backward, Adam): lower precision and layouts against float32.

    python benchmarks/training_step.py [--widths vit_h] [--batch 8] [--sides float32 ...]

Each side runs in a process of its own, after one step on a single slice to warm up.
"""

from __future__ import annotations

import argparse
import contextlib

import torch
from desam_sides import (
    WIDTHS,
    Side,
    counted_flops,
    in_own_process,
    measured,
    print_rates,
    print_table,
    product_rate,
    random_embedding,
)

from desam_model.desam.desam import build_desam
from desam_model.types import Batch, Embedding

SIDES = {
    "float32": (None, False),
    "float32 channels-last": (None, True),
    "bf16": (torch.bfloat16, False),
    "bf16 channels-last": (torch.bfloat16, True),
}
"""Name to autocast dtype and channels-last."""


def batch_of(widths: dict, size: int) -> Batch:
    """Random embeddings with a disc as reference."""
    rows, columns = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    disc = ((rows - 128) ** 2 + (columns - 120) ** 2 < 40**2).float()
    return Batch(reference=disc.expand(size, 1, -1, -1), embedding=random_embedding(widths, size))


def run_side(name: str, widths: str, size: int, repeats: int) -> Side:
    """One side in this process."""
    dtype, channels_last = SIDES[name]
    model = build_desam(**WIDTHS[widths])
    batch = batch_of(WIDTHS[widths], size)
    if channels_last:
        model.to(memory_format=torch.channels_last)
        batch = Batch(
            reference=batch.reference,
            embedding=Embedding(
                taps=tuple(
                    tap.contiguous(memory_format=torch.channels_last)
                    for tap in batch.embedding.taps
                ),
                neck=batch.embedding.neck,
            ),
        )
    optimizer = torch.optim.Adam(model.trainable_parameters(), lr=1e-4)
    generator = torch.Generator().manual_seed(0)

    def step(part: Batch) -> None:
        optimizer.zero_grad(set_to_none=True)
        autocast = contextlib.nullcontext() if dtype is None else torch.autocast("cpu", dtype)
        with autocast:
            loss = model.training_loss(part, generator).total
        loss.backward()
        optimizer.step()

    one = batch_of(WIDTHS[widths], 1)
    flops = counted_flops(lambda: step(one)) * size
    return measured(name, lambda: step(batch), flops, repeats)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--widths", choices=WIDTHS, default="vit_h")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    options = parser.parse_args()
    sides = []
    for name in options.sides:
        side = in_own_process(run_side, name, options.widths, options.batch, options.repeats)
        print(f"{name}: {side.seconds:.2f} s, {side.cpu_seconds:.2f} CPU s", flush=True)
        sides.append(side)
    rates = {"float32": product_rate(), "bf16": product_rate(torch.bfloat16)}
    print(f"{options.widths} widths, batch {options.batch}, CPU")
    print_rates(rates)
    print_table(sides, {name: rates[name.split()[0]] for name in options.sides})


if __name__ == "__main__":
    main()
