"""Learning curves: training loss and source-validation Dice per epoch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sweeper.report.figures.plots import COLOURS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Epochs = Sequence[Mapping[str, Any]]


_PANEL_IN = (3.0, 2.2)


def curves_figure(curves: Mapping[str, Mapping[str, Sequence[Epochs]]]) -> Figure:
    """One column of panels per source: loss above, Dice below; a colour per row of the table.

    Each training is one line; the dashed lines of the upper panels are the validation loss, by
    which the epoch is selected unless the space says otherwise.

    Args:
        curves: Source -> row -> per training its epochs, each with `train_loss`,
            `validation_loss` and `source_dice`.

    Raises:
        ValueError: There are no curves.
    """
    if not curves:
        raise ValueError("there are no curves to draw")
    rows = list(dict.fromkeys(row for by_row in curves.values() for row in by_row))
    figure = Figure(figsize=(_PANEL_IN[0] * len(curves) + 0.5, 2 * _PANEL_IN[1] + 0.6))
    panels = figure.subplots(2, len(curves), sharex="col", sharey="row", squeeze=False)
    for column, (source, by_row) in enumerate(curves.items()):
        loss, dice = panels[0, column], panels[1, column]
        for row, trainings in by_row.items():
            colour = COLOURS[rows.index(row) % len(COLOURS)]
            for epochs in trainings:
                x = range(1, len(epochs) + 1)
                loss.plot(x, _values(epochs, "train_loss"), color=colour, lw=1.2)
                loss.plot(x, _values(epochs, "validation_loss"), color=colour, lw=0.9, ls="--")
                percent = [100 * value for value in _values(epochs, "source_dice")]
                dice.plot(x, percent, color=colour, lw=1.2)
        loss.set_title(source, fontsize=9)
        dice.set_xlabel("epoch", fontsize=8)
        dice.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[0, 0].set_ylabel("loss (dashed: validation)", fontsize=8)
    panels[1, 0].set_ylabel("source-validation Dice (%)", fontsize=8)
    panels[1, 0].set_ylim(0, 100)
    for panel in panels.flat:
        panel.tick_params(labelsize=7)
        panel.grid(alpha=0.25, lw=0.5)
    handles = [
        panels[0, 0].plot([], [], color=COLOURS[i % len(COLOURS)], label=row)[0]
        for i, row in enumerate(rows)
    ]
    figure.tight_layout(rect=(0, 0.06, 1, 0.97))
    figure.legend(
        handles=handles, loc="lower center", ncols=min(4, len(rows)), fontsize=7, frameon=False
    )
    return figure


def _values(epochs: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """A value of every epoch; nan where an epoch has not recorded it."""
    return [math.nan if epoch.get(name) is None else float(epoch[name]) for epoch in epochs]
