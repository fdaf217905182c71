"""`sweeper remove`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sweeper.errors import ConfigError

if TYPE_CHECKING:
    from sweeper.pipeline.removing import Removal


@click.command()
@click.argument("space", required=False)
@click.option(
    "--cell", "cells", multiple=True, metavar="CELL",
    help="Only these trainings: a train id, or conditions such as 'source=A-ISBI seed=0'.",
)  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def remove(workspace: Path, /, space: str | None, cells: tuple[str, ...], yes: bool) -> int:
    """Remove a sweep or single trainings: weights, masks, scores, reports and runs in MLflow.

    SPACE is a search space or the name of a sweep. Trainings that another sweep plans are kept.
    Datasets and embeddings are kept too (`sweeper embeddings gc`). Asks first.
    """
    from sweeper.pipeline.removing import find_cells, find_sweep
    from sweeper.pipeline.removing import remove as remove_found
    from sweeper.predict.cells import split_words
    from sweeper.store.workspace import Workspace

    if (space is None) == (not cells):
        raise ConfigError("name either a SPACE or trainings with --cell")
    opened = Workspace.open(workspace)
    if space is None:
        words, rest = split_words(cells)
        removal = find_cells(opened, [*words, *rest])
    else:
        removal = find_sweep(opened, _name(space))
    for line in _lines(removal):
        click.echo(line)
    if yes or click.confirm("remove this?"):
        remove_found(opened, removal)
        click.echo("removed")
    return 0


def _name(space: str) -> str:
    if not space.endswith((".yaml", ".yml")):
        return space
    from sweeper.pipeline.report import read_report_key

    return read_report_key(Path(space))[0]


def _lines(removal: Removal) -> list[str]:
    from sweeper.report.words import counted

    lines = [] if removal.sweep is None else [f"sweep {removal.sweep} in MLflow"]
    for training in removal.trainings:
        description = training.config()
        name = "" if description is None else f" {description['name']}"
        lines.append(f"training {training.train_id}{name}")
    if removal.studies:
        count = len(removal.studies)
        lines.append(f"Optuna's record of {count} search{'' if count == 1 else 'es'}")
    lines += [f"folder {folder}" for folder in removal.folders]
    if removal.shared:
        lines.append(f"kept: {counted(removal.shared, 'training')} that another sweep plans too")
    return [*lines, f"this frees {removal.n_bytes / 1e6:.1f} MB"]
