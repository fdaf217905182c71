"""`sweeper predict`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sweeper.errors import ConfigError

if TYPE_CHECKING:
    from sweeper.pipeline.predicting.predict import PredictedCase


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="CELL... IMAGE...")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), required=True, help="Folder of the masks."
)
@click.option(
    "--domain",
    help="Prepare the images like those of this domain of the training's dataset. Default: the"
    " domain that the model was trained on.",
)
@click.option(
    "--score",
    "references",
    type=click.Path(path_type=Path),
    help="Folder of reference masks named after the images; adds every metric to the table.",
)
@click.option(
    "--label", type=int, help="Value of the structure in the references. Default: all above 0."
)
@click.pass_obj
def predict(
    workspace: Path,
    /,
    words: tuple[str, ...],
    output: Path,
    domain: str | None,
    references: Path | None,
    label: int | None,
) -> int:
    """Segment images that were never imported; no label is needed.

    CELL is a train id, conditions such as method=desam source=A-ISBI seed=0, or a folder that
    `sweeper export` wrote. Several of them, or conditions that leave only seeds and folds open, are
    an ensemble. IMAGE is a file of any format that `sweeper data import` reads, a folder of
    volumes, or a folder of pictures, which is one scan.

    Exit codes: 0 all images have a mask, 1 some have none, 2 wrong input.
    """
    from sweeper.cli.terminal.progress import display
    from sweeper.pipeline.predicting.predict import PredictRequest
    from sweeper.pipeline.predicting.predict import predict as predict_images
    from sweeper.predict.cells import HELP, split_words
    from sweeper.store.workspace import Workspace

    cells, images = split_words(words)
    if not cells:
        raise ConfigError(f"{words[0]!r} names no model; name {HELP}")
    if not images:
        raise ConfigError("no image is named after the model; name files or folders")
    shown = display()
    outcome = predict_images(
        Workspace.open(workspace),
        PredictRequest(
            cells=tuple(cells),
            images=tuple(Path(image) for image in images),
            output=output,
            domain=domain,
            references=references,
            label=label,
        ),
        say=lambda name: shown.phase(f"predicting with {name}"),
        progress=lambda case, n, total: shown.advance(n, total, f"slices of {case}"),
        done=lambda case: shown.say(_line(case)),
    )
    shown.close()
    click.echo(f"masks, previews and {outcome.table.name}: {output}")
    return 1 if outcome.failed else 0


def _line(case: PredictedCase) -> str:
    """One line for one image."""
    from desam_model.scoring.metric_table import MAIN
    from sweeper.predict.flags import MEANINGS

    if case.mask is None:
        return f"  {case.case}: no mask: {case.problem}"
    parts = [f"{case.n_segmented} of {case.n_slices} slices"]
    if not math.isnan(case.volume_ml):
        parts.insert(0, f"{case.volume_ml:.1f} ml")
    if not math.isnan(case.predicted_iou):
        parts.append(f"predicted IoU {case.predicted_iou:.2f}")
    if case.scores is not None:
        parts.append(f"{MAIN.symbol} {MAIN.scale * case.scores[MAIN.name]:.2f} {MAIN.unit}")
    parts += [f"look at it: {MEANINGS[flag]}" for flag in case.flags]
    parts += [f"not scored: {case.problem}"] if case.problem else []
    return f"  {case.case}: {', '.join(parts)}"
