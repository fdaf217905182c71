"""Which learning rate each method's default recipe gets: source validation on real volumes.

    uv run python benchmarks/recipes.py FOLDER --out recipes.json [--methods unet] [--rates 1e-4]
    uv run python benchmarks/recipes.py --show recipes.json [--figure curves.png]

FOLDER holds one hospital per folder, `CaseNN.nii.gz` beside `CaseNN_segmentation.nii.gz`. Every
training is a (method, rate, hospital, seed); what it reports is its Dice on the hospital's own
validation cases in the epoch that its validation loss selects, and nothing of another hospital is
read. Finished trainings are in the file and not done again. The network is the unified U-Net at a
reduced width and size, so that a CPU can do it; the table says so.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections import defaultdict
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

METHODS = (
    "unet",
    "mixstyle",
    "randconv",
    "csdg",
    "advbias",
    "advnoise",
    "maxstyle",
)
RATES = (1e-4, 1e-3, 3e-3)
SEEDS = (0, 1, 2)
NETWORK = {"width": 8, "input_px": 64}
TRAINING = {"epochs": 30, "batch_size": 8}


def import_folder(folder: Path, workspace: Path) -> Path:
    """The folder as a dataset store; cases by site, the first 90 % of each train."""
    from sweeper.pipeline.data.importing import import_dataset
    from sweeper.pipeline.data.options import ImportOptions

    lines = ["case,site,image,label"]
    for label in sorted(folder.glob("*/*_segmentation.nii.gz")):
        case = label.name.removesuffix("_segmentation.nii.gz")
        image = label.with_name(f"{case}.nii.gz")
        lines.append(f"{label.parent.name}-{case},{label.parent.name},{image},{label}")
    table = workspace / "cases.csv"
    table.write_text("\n".join(lines))
    store = workspace / "real.zarr"
    import_dataset(table, store, ImportOptions(structures={1: "prostate"}, processes=1))
    return store


def train(task: tuple[str, str, float, str, int]) -> dict[str, Any]:
    """One training; its curve on the source alone."""
    import torch

    from desam_model.training.fit import fit
    from sweeper.config.trial import TrialConfig
    from sweeper.factory import build_method, build_schedule
    from sweeper.store.dataset.store import DatasetStore
    from sweeper.trial.cases import Reader, choose_cases, sizes_of
    from sweeper.trial.convergence import loss_fall_share

    torch.set_num_threads(1)
    store, method, rate, site, seed = task
    config = TrialConfig(
        source=site,
        structure="prostate",
        seed=seed,
        method={"name": method, "network": NETWORK},
        training={**TRAINING, "lr": rate},
    )
    dataset = DatasetStore.open(Path(store))
    sizes = sizes_of(dataset, None)
    model = build_method(config, sizes, seed)
    reader = Reader(dataset, None, "prostate", model.reads)
    cases = choose_cases(config, dataset)
    started = time.perf_counter()
    result = fit(
        model,
        reader(cases.train),
        reader(cases.validation),
        build_schedule(config, sizes),
        seed=seed,
    )
    return {
        "method": method,
        "lr": rate,
        "site": site,
        "seed": seed,
        "source_dice": result.epochs[result.selected_epoch].source_dice,
        "selected_epoch": result.selected_epoch,
        "loss_fall_share": loss_fall_share([e.train_loss for e in result.epochs]),
        "validation_loss": [round(e.validation_loss, 5) for e in result.epochs],
        "seconds": time.perf_counter() - started,
    }


def run(args: argparse.Namespace) -> None:
    """Every training that is not in the file yet, a few at once."""
    from sweeper.store.dataset.store import DatasetStore

    out = Path(args.out)
    done = json.loads(out.read_text()) if out.is_file() else []
    known = {(d["method"], d["lr"], d["site"], d["seed"]) for d in done}
    with tempfile.TemporaryDirectory() as scratch:
        store = import_folder(Path(args.folder).absolute(), Path(scratch))
        sites = DatasetStore.open(store).domains
        tasks = [
            (str(store), method, rate, site, seed)
            for seed, method, rate, site in product(SEEDS, args.methods, args.rates, sites)
            if (method, rate, site, seed) not in known
        ]
        with multiprocessing.get_context("spawn").Pool(args.processes) as pool:
            for i, result in enumerate(pool.imap_unordered(train, tasks), start=1):
                done.append(result)
                temporary = out.with_suffix(".partial")
                temporary.write_text(json.dumps(done))
                temporary.replace(out)
                print(
                    f"[{i}/{len(tasks)}] {result['method']} {result['lr']:g} {result['site']} seed"
                    f" {result['seed']}: {result['source_dice']:.3f}, {result['seconds']:.0f} s",
                    flush=True,
                )


def show(path: Path, figure: Path | None) -> None:
    """The table of means, with the chosen rate, and the curves."""
    by_method: dict[str, dict[float, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for one in json.loads(path.read_text()):
        by_method[one["method"]][one["lr"]].append(one)
    rates = sorted({rate for by_rate in by_method.values() for rate in by_rate})
    print("| method | " + " | ".join(f"{rate:g}" for rate in rates) + " | chosen |")
    print("|---|" + "---:|" * (len(rates) + 1))
    for method, by_rate in by_method.items():
        means = {rate: fmean(d["source_dice"] for d in found) for rate, found in by_rate.items()}
        cells = [f"{means[r]:.3f} (n {len(by_rate[r])})" if r in means else "–" for r in rates]
        print(f"| {method} | " + " | ".join(cells) + f" | {max(means, key=means.__getitem__):g} |")
    if figure is not None:
        _draw(by_method, figure)


def _draw(by_method: dict[str, dict[float, list[dict[str, Any]]]], path: Path) -> None:
    from matplotlib.figure import Figure

    columns = min(4, len(by_method))
    lines = -(-len(by_method) // columns)
    figure = Figure(figsize=(3 * columns, 2.6 * lines), layout="constrained")
    for i, (method, by_rate) in enumerate(by_method.items()):
        axes = figure.add_subplot(lines, columns, i + 1)
        rates = sorted(by_rate)
        axes.plot(rates, [fmean(d["source_dice"] for d in by_rate[r]) for r in rates], "k-")
        sites = sorted({d["site"] for found in by_rate.values() for d in found})
        for site, colour in zip(sites, ("#0072B2", "#E69F00", "#009E73"), strict=False):
            points = [(r, d["source_dice"]) for r in rates for d in by_rate[r] if d["site"] == site]
            axes.plot(*zip(*points, strict=True), "o", color=colour, markersize=3, label=site)
        axes.set(xscale="log", title=method, xlabel="learning rate", ylabel="source Dice")
    figure.axes[0].legend(frameon=False, fontsize=7)
    figure.savefig(path, dpi=100)


def main() -> None:
    """Train, or show what was trained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--out", default="recipes.json")
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--rates", nargs="+", type=float, default=RATES)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--show")
    parser.add_argument("--figure")
    args = parser.parse_args()
    if args.show:
        show(Path(args.show), Path(args.figure) if args.figure else None)
    else:
        run(args)


if __name__ == "__main__":
    main()
