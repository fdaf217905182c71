"""`sweeper curves`."""

from __future__ import annotations

from pathlib import Path

import click

from sweeper.errors import ConfigError


@click.command()
@click.argument("space", required=False)
@click.option(
    "--output", "-o", type=click.Path(path_type=Path),
    help="PNG or PDF file. Default: curves.png in the reports of the workspace.",
)  # fmt: skip
@click.option("--where", multiple=True, metavar="KEY=VALUE", help="Only these trainings.")
@click.pass_obj
def curves(
    workspace: Path, /, space: str | None, output: Path | None, where: tuple[str, ...]
) -> int:
    """Draw loss and source-validation Dice per epoch, one column per source.

    SPACE is a search space or the name of a sweep; by default the latest sweep.
    """
    from sweeper.pipeline.curves import draw_curves
    from sweeper.pipeline.report import changed_query, named_sweeps
    from sweeper.report.figures.plots import save
    from sweeper.store.workspace import Workspace

    if output is not None and output.suffix not in (".png", ".pdf"):
        raise ConfigError(f"--output is {output}, expected a .png or .pdf file")
    names, spec = named_sweeps([] if space is None else [space])
    opened = Workspace.open(workspace)
    query = changed_query(opened, names, spec, {"where": where})
    figure = draw_curves(opened, query)
    path = output or opened.reports / query.name / "curves.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    save(figure, path.with_suffix(".png"), query.is_synthetic)
    click.echo(f"written: {path.with_suffix('.png')} and {path.with_suffix('.pdf')}")
    return 0
