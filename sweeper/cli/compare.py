"""`sweeper compare`."""

from __future__ import annotations

from pathlib import Path

import click

from sweeper.errors import ConfigError


@click.command()
@click.argument("cells", nargs=-1, required=True, metavar="CELL...")
@click.option("--case", required=True, metavar="ID", help="Case of the dataset.")
@click.option(
    "--slice", "z", type=click.IntRange(0), help="Slice of the scan. Default: largest reference."
)
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), required=True, help="PNG or PDF file."
)
@click.pass_obj
def compare(
    workspace: Path, /, cells: tuple[str, ...], case: str, z: int | None, output: Path
) -> int:
    """Draw one slice of a case as several models segment it: the picture behind a number.

    Each CELL is a train id, an exported folder, or conditions in quotes, such as "method=desam
    source=A-ISBI seed=0". Shown are image, reference, masks, differences, prompts, and the
    predicted IoU of every prompt. PNG and PDF are both written.
    """
    from sweeper.pipeline.predicting.compare import compare as compare_cells
    from sweeper.report.figures.plots import save
    from sweeper.store.workspace import Workspace

    if output.suffix not in (".png", ".pdf"):
        raise ConfigError(f"--output is {output}, expected a .png or .pdf file")
    if not output.absolute().parent.is_dir():
        raise ConfigError(f"--output {output}: its folder does not exist; create it")
    made = compare_cells(Workspace.open(workspace), cells, case, z=z)
    save(made.figure, output.with_suffix(".png"), made.is_synthetic)
    click.echo(f"written: {output.with_suffix('.png')} and .pdf (slice {made.z})")
    return 0
