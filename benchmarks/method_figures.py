"""Figures of docs/methods.md: an input slice and what each method does to it.

uv run python benchmarks/method_figures.py --workspace WORKSPACE

Takes slices of the phantom in the workspace (`sweeper run search_spaces/smoke.yaml` makes it).
AdvNoise, AdvBias and MaxStyle search against a network, so a small one is trained first; so is a
DeSAM, on the very slices shown: figures show what a method does, not how well it generalises.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import torch

from desam_model.comparisons.advbias import AdvBias
from desam_model.comparisons.advnoise import AdvNoise
from desam_model.comparisons.csdg import CSDG
from desam_model.comparisons.image.harness import unified_harness
from desam_model.comparisons.image.intensity import rescale
from desam_model.comparisons.maxstyle import MaxStyle
from desam_model.comparisons.mixstyle import mix_statistics
from desam_model.comparisons.randconv import RandConv
from desam_model.comparisons.unet import UNetBaseline
from desam_model.desam.desam import build_desam
from desam_model.desam.prompts import grid_points_xy
from desam_model.desam.rating import rate_prompts
from desam_model.training.folds import folds
from desam_model.training.loader import collate
from desam_model.types import PredictionSettings, Prompt, Reads
from sweeper.store.dataset.store import DatasetStore
from sweeper.store.dataset.views import slice_view
from sweeper.store.embeddings.store import EmbeddingStore
from sweeper.store.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from desam_model.comparisons.image.image_method import Example
    from desam_model.desam.desam import DeSAM
    from desam_model.types import Batch, Slice

mpl.use("Agg")
from matplotlib import pyplot as plt

OUT = Path(__file__).parents[1] / "docs" / "images" / "methods"
TRAINING_STEPS = 40
DECODER_STEPS = 900


def some_slices(workspace: Path) -> Batch:
    dataset = DatasetStore.open(Workspace(workspace).datasets / "phantom.zarr")
    domain = dataset.domains[0]
    structure = dataset.structures[0]
    cases = [record.case for record in dataset.cases_of(domain)][:4]
    reads = frozenset({Reads.IMAGE})
    views = [slice_view(dataset, [case], structure=structure, reads=reads) for case in cases]
    return collate([view[len(view) // 2] for view in views])


def trained(batch: Batch) -> MaxStyle:
    torch.manual_seed(0)
    method = MaxStyle(
        harness=unified_harness(image_channels=1, width=8, image_decoder=True), probability=1
    )
    optimizer = torch.optim.Adam(method.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    baseline = UNetBaseline(harness=method.harness).train()
    for _ in range(TRAINING_STEPS):
        optimizer.zero_grad()
        baseline.training_loss(batch, generator).total.backward()
        optimizer.step()
    return method.eval()


def draw(name: str, panels: dict[str, torch.Tensor], contour: torch.Tensor | None = None) -> None:
    figure, axes = plt.subplots(1, len(panels), figsize=(2.4 * len(panels), 2.7))
    for axis, (title, panel) in zip(axes, panels.items(), strict=True):
        axis.imshow(panel.detach().squeeze().numpy(), cmap="gray")
        axis.set_title(title, fontsize=9)
        axis.axis("off")
        if contour is not None:
            axis.contour(contour.squeeze().numpy(), levels=[0.5], colors="tab:orange", linewidths=1)
    save(name, figure)


def save(name: str, figure: plt.Figure) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(OUT / f"{name}.png", dpi=80)
    plt.close(figure)
    print(OUT / f"{name}.png")


def image_figures(batch: Batch) -> None:
    method, generator = trained(batch), torch.Generator().manual_seed(3)
    example = UNetBaseline(harness=unified_harness(image_channels=1, augmentation=False)).prepare(
        batch, generator
    )
    image, contour = example.clean, batch.reference[0]
    augmented, moved = method.harness.augmentation(image, batch.reference, generator)
    draw("unet", {"input": image[0], "augmented": augmented[0], "its reference": moved[0]})
    with torch.no_grad():
        target = method.network(image) + 0.2
    adversaries(method, image, target, contour)
    randconv = RandConv(harness=method.harness)
    copies = {f"copy {i}": randconv.randomise(image, generator)[0] for i in (1, 2, 3)}
    draw("randconv", {"input": image[0]} | copies, contour)
    shares = torch.tensor([0.5] * 4)[:, None, None, None]
    mixed = mix_statistics(image, shares, torch.tensor([1, 2, 3, 0]), 1e-6)
    panels = {"input": image[0], "mixed with": image[1], "half of each style": mixed[0]}
    draw("mixstyle", panels)
    csdg = CSDG(harness=method.harness)
    first, _, third = csdg.randomise(image, generator)
    blend = csdg.blend_map(image, generator)
    panels = {"input": image[0], "GIN": third[0], "a blend map": blend[0], "GIN + IPA": first[0]}
    draw("csdg", panels, contour)
    style_figure(method, example, contour)


def adversaries(
    method: MaxStyle, image: torch.Tensor, target: torch.Tensor, contour: torch.Tensor
) -> None:
    advnoise = AdvNoise(harness=method.harness, epsilon=8.0)
    generator = torch.Generator().manual_seed(1)
    noise = advnoise.search(image, target, generator)
    noisy = advnoise.perturb(image, noise)
    panels = {"input": image[0], "noise (rescaled)": noise[0], "epsilon = 8": noisy[0]}
    draw("advnoise", panels, contour)
    advbias = AdvBias(harness=method.harness)
    field = advbias.field(advbias.search(image, target, generator), image)
    panels = {"input": image[0], "bias field": field[0], "product": (field * image)[0]}
    draw("advbias", panels, contour)


def style_figure(method: MaxStyle, example: Example, contour: torch.Tensor) -> None:
    features = method.network.encode(example.clean)
    plain = method.network.reconstruct(features)
    hardest = method.hardest_style(features, example.reference, torch.Generator().manual_seed(5))
    panels = {
        "input": example.clean[0],
        "reconstruction": plain[0],
        "hardest style": rescale(hardest)[0],
    }
    draw("maxstyle", panels, contour)


def prompt_figure(batch: Batch) -> None:
    image = batch.image[0].squeeze().numpy()
    figure, axes = plt.subplots(1, 3, figsize=(7.2, 2.7))
    for axis, title in zip(axes, ("whole box", "grid", "gt_box (oracle)"), strict=True):
        axis.imshow(image, cmap="gray")
        axis.set_title(title, fontsize=9)
        axis.axis("off")
    box = {"fill": False, "edgecolor": "tab:green", "linewidth": 2}
    axes[0].add_patch(plt.Rectangle((1, 1), 253, 253, **box))
    axes[1].scatter(*grid_points_xy(9, (256, 256)).T.numpy(), s=6, c="tab:green")
    rows, columns = batch.reference[0, 0].nonzero().T
    low, high = (columns.min(), rows.min()), (columns.max(), rows.max())
    sides = (int(high[0] - low[0]), int(high[1] - low[1]))
    axes[2].add_patch(plt.Rectangle((int(low[0]), int(low[1])), *sides, **box))
    save("medsam", figure)


def rating_figure(workspace: Path) -> None:
    dataset = DatasetStore.open(Workspace(workspace).datasets / "phantom.zarr")
    store = EmbeddingStore.open(str(next(Workspace(workspace).embeddings.glob("phantom-*.zarr"))))
    cases = [record.case for record in dataset.cases_of(dataset.domains[0])][:4]
    reads = frozenset({Reads.IMAGE, Reads.EMBEDDING})
    slices = slice_view(
        dataset, cases, structure=dataset.structures[0], reads=reads, embeddings=store
    )
    method, batch = trained_decoder(slices), collate([slices[2]])
    prompts, embedding = method.prompts, batch.embedding
    grid_hw = (embedding.neck.shape[-2], embedding.neck.shape[-1])
    xy = grid_points_xy(9, prompts.frame_hw(grid_hw))
    image = embedding.neck + prompts.dense()
    sparse = prompts.sparse(Prompt.points(xy[:, None]), grid_hw)
    with torch.no_grad():
        rated = rate_prompts(method.prim, image, prompts.image_pe(grid_hw), sparse)[0]
    mask = method.predict(batch, PredictionSettings()).mask
    scale = batch.image.shape[-1] / prompts.frame_hw(grid_hw)[1]
    figure, axes = plt.subplots(1, 3, figsize=(7.2, 2.7))
    for axis, title in zip(axes, ("input", "predicted IoU", "mask of the best"), strict=True):
        axis.imshow(batch.image.squeeze().numpy(), cmap="gray")
        axis.set_title(title, fontsize=9)
        axis.axis("off")
    for axis in axes[::2]:
        axis.contour(batch.reference[0, 0].numpy(), levels=[0.5], colors="tab:orange", linewidths=1)
    axes[1].scatter(*(scale * xy).T.numpy(), s=14, c=rated.numpy(), cmap="viridis")
    best = scale * xy[int(rated.argmax())]
    axes[2].contour(mask[0, 0].numpy(), levels=[0.5], colors="tab:green", linewidths=1)
    axes[2].scatter(*best.numpy(), s=30, c="tab:green", marker="*")
    save("desam", figure)


def trained_decoder(slices: Sequence[Slice]) -> DeSAM:
    taps, neck = slices[0].embedding.taps, slices[0].embedding.neck
    method = build_desam(
        tap_channels=taps[0].shape[-3],
        neck_channels=neck.shape[-3],
        grid_hw=(neck.shape[-2], neck.shape[-1]),
        input_px=256,
    )
    optimizer = torch.optim.Adam(method.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(DECODER_STEPS):
        chosen = torch.randperm(len(slices), generator=generator)[:4].tolist()
        optimizer.zero_grad()
        method.training_loss(collate([slices[i] for i in chosen]), generator).total.backward()
        optimizer.step()
    return method.eval()


def fold_figure() -> None:
    cases = [f"case{i:02d}" for i in range(12)]
    pairs = folds(cases, 5, seed=0)
    grid = [[1.0 if case in test else 0.0 for case in cases] for _, test in pairs]
    figure, axis = plt.subplots(figsize=(6, 2.4))
    axis.imshow(grid, cmap="Blues", vmin=0, vmax=1.5)
    axis.set_xticks(range(len(cases)), cases, rotation=60, fontsize=7)
    axis.set_yticks(range(5), [f"fold {i}" for i in range(5)], fontsize=7)
    axis.set_title("blue: predicted by a model that did not train on it", fontsize=9)
    save("upper_bound", figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, required=True)
    workspace = parser.parse_args().workspace
    batch = some_slices(workspace)
    image_figures(batch)
    prompt_figure(batch)
    fold_figure()
    rating_figure(workspace)


if __name__ == "__main__":
    main()
