"""`sweeper embed`: computes the embeddings of a dataset once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sweeper.cli.options.registered import Registered, encoders, precisions

if TYPE_CHECKING:
    from sweeper.engine.embed import Workers
    from sweeper.pipeline.embed import EmbedProgress
    from sweeper.store.embeddings.manifest import Codec


@click.command()
@click.argument("dataset")
@click.option(
    "--encoder",
    type=Registered(encoders),
    default="vit_tiny",
    show_default=True,
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    help="File with its weights. Default: the one in the workspace, or of an installed package.",
)
@click.option(
    "--precision",
    type=Registered(precisions),
    default="float16",
    show_default=True,
    help="Precision of the stored values; part of the embedding's identity.",
)
@click.option(
    "--pool",
    type=click.Choice(["1", "2", "4"]),
    default="1",
    show_default=True,
    help="Token pooling: store means over squares of this many tokens per side.",
)
@click.option(
    "--compute",
    type=click.Choice(["auto", "float32", "float32-fused", "bf16-fused", "fp16-fused"]),
    default="auto",
    show_default=True,
    help="auto: bf16 if the hardware supports it, else fused float32; float32: bit-identical to"
    " SAM's code.",
)
@click.option(
    "--codec",
    type=click.Choice(["none", "zstd"]),
    help="none (default) is memory-mapped; zstd is 6 % smaller, but decoded at every read.",
)
@click.option(
    "--actors",
    type=click.IntRange(0),
    help="Number of Ray actors; 0: this process. Default: chosen by the amount of work.",
)
@click.option(
    "--gpu",
    type=click.FloatRange(0.0),
    default=0.0,
    help="GPUs per actor, or a fraction of one. Without --actors: as many actors as fit.",
)
@click.option("--address", help="Ray cluster to use. Default: this machine.")
@click.option(
    "--whole-scan",
    is_flag=True,
    help="Also the slices without a reference, for evaluation.whole_scan (protocol volume).",
)
@click.option(
    "--push", metavar="URL", help="Copy the store to s3://, gs:// or file:// when it is complete."
)
@click.option("--pull", metavar="URL", help="First copy the slices that are at this URL.")
@click.pass_obj
def embed(
    workspace: Path,
    /,
    dataset: str,
    encoder: str,
    checkpoint: Path | None,
    precision: str,
    pool: str,
    compute: str,
    codec: Codec | None,
    actors: int | None,
    gpu: float,
    address: str | None,
    whole_scan: bool,
    push: str | None,
    pull: str | None,
) -> None:
    """Compute the embeddings of DATASET (a name or a path); existing ones are not recomputed."""
    from sweeper.cli.terminal.data_text import ProgressBar
    from sweeper.pipeline.data.named import open_dataset
    from sweeper.pipeline.embed import ensure_embeddings, require_whole_scans
    from sweeper.pipeline.embeddings import precision_cost, pull_store, push_store
    from sweeper.store.workspace import Workspace

    opened = Workspace.open(workspace)
    with ProgressBar() as bar:
        data = open_dataset(opened, dataset, bar)
        if whole_scan:
            require_whole_scans(data)
        stores = []
        has_others = data.n_stored_slices > data.n_slices
        for is_background in (False, True) if whole_scan and has_others else (False,):
            if pull is not None:
                pull_store(
                    opened,
                    pull,
                    data,
                    encoder,
                    checkpoint,
                    precision,
                    bar,
                    pool=int(pool),
                    is_background=is_background,
                )
            store = ensure_embeddings(
                opened,
                data,
                encoder,
                checkpoint=checkpoint,
                precision=precision,
                pool=int(pool),
                compute=compute,
                codec=codec,
                workers=_workers(actors, gpu, address),
                progress=_show,
                say=lambda line: click.echo(line, err=True),
                is_background=is_background,
            )
            if push is not None:
                push_store(store, push, bar)
            stores.append(store)
    for store in stores:
        size = store.n_slices * store.manifest.slice_bytes
        click.echo(
            f"{store.path}: {store.n_slices} slices, {size / 1e6:.1f} MB, {store.fingerprint}"
        )
    if precision == "int8":
        click.echo(precision_cost(opened, data, stores[0], checkpoint))


def _workers(actors: int | None, gpu: float, address: str | None) -> Workers | None:
    """The requested workers, or None; the engine is imported only if needed (it takes seconds)."""
    if actors is None and gpu == 0.0 and address is None:
        return None
    from sweeper.engine.embed import Workers

    return Workers(actors=actors, gpu=gpu, address=address)


def _show(progress: EmbedProgress) -> None:
    """Print slices, rate, bytes and remaining time, on one updated line."""
    rate = progress.encoded / max(progress.seconds, 1e-9)
    left = (progress.total - progress.done) / rate
    written = progress.encoded * progress.slice_bytes
    is_terminal = sys.stderr.isatty()
    if is_terminal or progress.done == progress.total:
        click.echo(
            f"{chr(13) if is_terminal else ''}slices {progress.done}/{progress.total}"
            f"  {rate:.2f}/s  {written / 1e6:.0f} MB  {left:.0f} s left ",
            nl=not is_terminal or progress.done == progress.total,
            err=True,
        )
