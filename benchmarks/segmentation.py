"""Automatic segmentation of one slice: PRIM for all prompts and PDMM once, against brute force.

    python benchmarks/segmentation.py [--widths vit_h] [--grid-size 9]

Brute force decodes every prompt, nine at a time, as the release does, and keeps the best; its
post-processing is left out. Each side runs in a process of its own.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

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

from desam_model.desam.desam import DeSAM, build_desam
from desam_model.desam.prompts import grid_points_xy
from desam_model.desam.resampling import resample_logits
from desam_model.types import Batch, Embedding, PredictionSettings, Prompt

IMAGE_HW = (256, 256)
PROMPTS_AT_ONCE = 9


def brute_force(model: DeSAM, embedding: Embedding, grid_size: int) -> tuple[torch.Tensor, float]:
    """Decode every prompt; mask and predicted IoU of the best."""
    frame_hw = model.prompts.frame_hw(tuple(embedding.neck.shape[-2:]))
    best_mask, best_iou = torch.empty(0), -float("inf")
    for part in grid_points_xy(grid_size, frame_hw)[:, None].split(PROMPTS_AT_ONCE):
        repeated = Embedding(
            taps=tuple(tap.expand(len(part), -1, -1, -1) for tap in embedding.taps),
            neck=embedding.neck.expand(len(part), -1, -1, -1),
        )
        logits, iou = model.decode(repeated, Prompt.points(part))
        index = int(iou[:, 0].argmax())
        if float(iou[index, 0]) > best_iou:
            best_iou = float(iou[index, 0])
            best_mask = resample_logits(logits[index : index + 1], frame_hw, IMAGE_HW) > 0
    return best_mask, best_iou


def decoupled(model: DeSAM, embedding: Embedding, grid_size: int) -> tuple[torch.Tensor, float]:
    """Ours; mask and predicted IoU of the best."""
    batch = Batch(reference=torch.zeros(1, 1, *IMAGE_HW), embedding=embedding)
    settings = PredictionSettings(grid_size=grid_size, iou_threshold=-float("inf"))
    prediction = model.predict(batch, settings)
    return prediction.mask, float(prediction.predicted_iou[0])


def run_side(
    name: str, widths: str, grid_size: int, repeats: int
) -> tuple[Side, torch.Tensor, float]:
    """One side in this process: its cost, and what it found."""
    work = {"brute force": brute_force, "decoupled": decoupled}[name]
    model = build_desam(**WIDTHS[widths]).eval()
    embedding = random_embedding(WIDTHS[widths])
    found = []
    with torch.inference_mode():
        # counted on few prompts and scaled: every prompt costs brute force the same
        if name == "brute force":
            flops = counted_flops(lambda: brute_force(model, embedding, 1)) * grid_size**2
        else:
            flops = counted_flops(lambda: decoupled(model, embedding, grid_size))
        side = measured(
            name,
            lambda: found.append(work(model, embedding, grid_size)),
            flops,
            repeats,
        )
    return side, *found[-1]


def run_one_batch(widths: str, grid_size: int) -> tuple[Side, None, None]:
    """Brute force on nine prompts, its time scaled to all of the grid; every batch costs alike."""
    side, _, _ = run_side("brute force", widths, 3, 1)
    factor = grid_size**2 / PROMPTS_AT_ONCE
    scaled = replace(
        side,
        name="brute force (one batch timed)",
        seconds=factor * side.seconds,
        cpu_seconds=factor * side.cpu_seconds,
        flops=factor * side.flops,
    )
    return scaled, None, None


def main() -> None:
    """Print the table, and that both sides found the same."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--widths", choices=WIDTHS, default="vit_h")
    parser.add_argument("--grid-size", type=int, default=9)
    parser.add_argument("--repeats", type=int, default=3, help="runs of the decoupled side")
    parser.add_argument(
        "--one-batch", action="store_true", help="time one of brute force's batches, and scale"
    )
    options = parser.parse_args()
    arguments = (options.widths, options.grid_size)
    fast, fast_mask, fast_iou = in_own_process(run_side, "decoupled", *arguments, options.repeats)
    print(f"decoupled: {fast.seconds:.2f} s, {fast.cpu_seconds:.2f} CPU s", flush=True)
    if options.one_batch:
        brute, mask, iou = in_own_process(run_one_batch, *arguments)
    else:
        brute, mask, iou = in_own_process(run_side, "brute force", *arguments, 1)
    rate = product_rate()
    print(f"{options.widths} widths, {options.grid_size} x {options.grid_size} grid, float32, CPU")
    print_rates({"float32": rate})
    print_table([brute, fast], {brute.name: rate, fast.name: rate})
    if options.one_batch:
        return
    differ = int((mask != fast_mask).sum())
    print(f"predicted IoU {iou:.7f} and {fast_iou:.7f}; {differ} of {mask.numel()} pixels differ")


if __name__ == "__main__":
    main()
