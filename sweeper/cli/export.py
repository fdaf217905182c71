"""`sweeper export`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("cells", nargs=-1, required=True, metavar="CELL...")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), required=True, help="Folder to write."
)
@click.pass_obj
def export(workspace: Path, /, cells: tuple[str, ...], output: Path) -> int:
    """Write a trained model as one folder: weights, config, model card; nothing is pickled.

    CELL is a train id, or conditions such as method=desam source=A-ISBI seed=0. `sweeper predict`
    takes the folder in its place, on any machine.
    """
    from sweeper.pipeline.predicting.export import export as export_model
    from sweeper.predict.cells import split_words
    from sweeper.store.workspace import Workspace

    named, rest = split_words(cells)
    exported = export_model(Workspace.open(workspace), [*named, *rest], output)
    click.echo(f"exported {exported.facts.name} ({exported.n_bytes / 1e6:.1f} MB): {output}")
    return 0
