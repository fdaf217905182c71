"""`sweeper embeddings`: lists, verifies, converts and removes embedding stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sweeper.cli.options.global_options import command_line
from sweeper.errors import StoreError
from sweeper.report.words import counted

if TYPE_CHECKING:
    from pathlib import Path


@click.group()
def embeddings() -> None:
    """List, verify, convert and remove embedding stores."""


@embeddings.command("list")
@click.pass_obj
def list_command(workspace: Path, /) -> None:
    """Show all embedding stores: their slices, their size, and the trainings that use them."""
    from sweeper.store.embeddings.inventory import summarise_stores
    from sweeper.store.workspace import Workspace

    summaries, other_paths = summarise_stores(Workspace.for_reading(workspace))
    for summary in summaries:
        store = summary.store
        shown = ", ".join(summary.methods[:3]) + (", ..." if len(summary.methods) > 3 else "")
        click.echo(
            f"{store.path.name}  {len(store.commits)}/{store.n_slices} slices"
            f"  {summary.size_bytes / 1e6:.1f} MB  {store.manifest.compute}"
            f"  used by {len(summary.users)} trainings{f' ({shown})' if shown else ''}"
        )
    for path in other_paths:
        click.echo(f"{path.name}  is not an embedding store", err=True)
    if not summaries:
        example = command_line("embed", "DATASET")
        click.echo(f"no embedding stores; create one with '{example}'", err=True)


@embeddings.command()
@click.argument("names", nargs=-1)
@click.option(
    "--encode", type=click.IntRange(1), help="Also encode this many slices again and compare."
)
@click.option("--repair", is_flag=True, help="Re-create damaged slices.")
@click.pass_obj
def verify(workspace: Path, /, names: tuple[str, ...], encode: int | None, repair: bool) -> None:
    """Verify all checksums of the stores NAMES (default: all stores)."""
    from sweeper.cli.terminal.data_text import ProgressBar
    from sweeper.pipeline.embeddings import largest_difference, repair_store
    from sweeper.store.embeddings.inventory import damaged_slices, find_store, summarise_stores
    from sweeper.store.workspace import Workspace

    opened = Workspace.open(workspace) if repair else Workspace.for_reading(workspace)
    stores = [find_store(opened, name) for name in names] or [
        summary.store for summary in summarise_stores(opened)[0]
    ]
    n_damaged = 0
    for store in stores:
        with ProgressBar() as bar:
            damaged = damaged_slices(store, lambda done, total: bar("verified", done, total))
        for reason in damaged.values():
            click.echo(reason, err=True)
        status = "damaged"
        if damaged and repair:
            repair_store(opened, store, list(damaged))
            status = "re-created"
        else:
            n_damaged += len(damaged)
        click.echo(f"{store.path.name}: {len(store.commits)} slices, {len(damaged)} {status}")
        if encode is not None:
            click.echo(f"  {largest_difference(opened, store, encode)}")
    if n_damaged:
        subject = "slices are" if n_damaged > 1 else "slice is"
        raise StoreError(f"{n_damaged} {subject} damaged; run the command again with --repair")


@embeddings.command()
@click.argument("name")
@click.argument("precision", type=click.Choice(["float16", "int8"]))
@click.pass_obj
def convert(workspace: Path, /, name: str, precision: str) -> None:
    """Convert the store NAME to a smaller PRECISION, without running the encoder."""
    from sweeper.cli.terminal.data_text import ProgressBar
    from sweeper.pipeline.embeddings import convert_in_workspace
    from sweeper.store.embeddings.inventory import find_store
    from sweeper.store.workspace import Workspace

    opened = Workspace.open(workspace)
    with ProgressBar() as bar:
        store = convert_in_workspace(
            opened,
            find_store(opened, name),
            precision,
            lambda done, total: bar("converted", done, total),
        )
    click.echo(str(store.path))


@embeddings.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def gc(workspace: Path, /, yes: bool) -> None:
    """Remove the stores that no training uses."""
    from sweeper.store.embeddings.inventory import remove_store, summarise_stores
    from sweeper.store.embeddings.writer import is_being_written
    from sweeper.store.workspace import Workspace

    unused = [s for s in summarise_stores(Workspace.open(workspace))[0] if not s.users]
    for summary in unused:
        if is_being_written(summary.store.path):
            click.echo(f"{summary.store.path.name}  is being written now; not removed", err=True)
    unused = [s for s in unused if not is_being_written(s.store.path)]
    if not unused:
        click.echo("nothing to remove: each embedding store is used by a training")
        return
    for summary in unused:
        click.echo(f"{summary.store.path.name}  {summary.size_bytes / 1e6:.1f} MB")
    if yes or click.confirm(f"remove {counted(len(unused), 'store')}?"):
        for summary in unused:
            remove_store(summary.store.path)
