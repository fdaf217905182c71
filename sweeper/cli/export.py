"""`sweeper export` and `sweeper register`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("cells", nargs=-1, required=True, metavar="CELL...")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), required=True, help="Folder to write."
)
@click.option("--mlflow", "is_mlflow", is_flag=True, help="Write an MLflow pyfunc model.")
@click.pass_obj
def export(workspace: Path, /, cells: tuple[str, ...], output: Path, is_mlflow: bool) -> int:
    """Write a trained model as one folder: weights, config, model card; nothing is pickled.

    CELL is a train id, or conditions such as method=desam source=A-ISBI seed=0. `sweeper predict`
    takes the folder in its place, on any machine.
    """
    from sweeper.pipeline.predicting.export import export as export_folder
    from sweeper.pipeline.predicting.export import export_mlflow
    from sweeper.predict.cells import split_words
    from sweeper.store.workspace import Workspace

    named, rest = split_words(cells)
    write = export_mlflow if is_mlflow else export_folder
    exported = write(Workspace.open(workspace), [*named, *rest], output)
    click.echo(f"exported {exported.facts.name} ({exported.n_bytes / 1e6:.1f} MB): {output}")
    return 0


@click.command()
@click.argument("cells", nargs=-1, required=True, metavar="CELL...")
@click.option("--name", required=True, help="Name of the registered model, such as prostate.")
@click.pass_obj
def register(workspace: Path, /, cells: tuple[str, ...], name: str) -> int:
    """Put a trained model into MLflow's registry, as a new version of NAME.

    CELL is a train id, or conditions such as method=desam source=A-ISBI seed=0.
    """
    from sweeper.pipeline.predicting.export import register as register_model
    from sweeper.predict.cells import split_words
    from sweeper.store.workspace import Workspace

    named, rest = split_words(cells)
    exported, version = register_model(Workspace.open(workspace), [*named, *rest], name)
    click.echo(f"registered {exported.facts.name} as models:/{name}/{version}; see it: sweeper ui")
    return 0
