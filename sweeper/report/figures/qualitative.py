"""Pictures of cases that are selected by a rule, to avoid cherry-picking."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from desam_model.scoring.metric_table import MAIN
from sweeper.report.figures.contours import PREDICTION_RGB, REFERENCE_RGB, paint, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from sweeper.report.entries import Entry
    from sweeper.report.query import Query
    from sweeper.store.dataset.store import DatasetStore

RULE = (
    "Cases chosen by rule, per target site: the worst, the median and the 90th-percentile case by"
    " {metric} (protocol {protocol}) of the row {row}, trained on {source}, seed {seed}; slice with"
    " the largest reference. Reference green, prediction red, {metric} of the case in the corner."
)
_MAX_ROWS = 6
_MARGIN_IN, _TOP_IN = 1.1, 0.45
DPI = 150
"""Resolution of this figure, in which a pixel of a case is a pixel of the figure."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The selection that the figure shows.

    Attributes:
        entries: Row of the table -> entry; all have the same source and seed.
        cases: (site, case, reason), with sites in the dataset's order.
        protocol: The table's protocol, under which the printed numbers are computed.
        caption: The rule as a text.
    """

    entries: Mapping[str, Entry]
    cases: tuple[tuple[str, str, str], ...]
    protocol: str
    caption: str


def choose(query: Query) -> Choice | None:
    """Cases by rule, for the source that most rows have; the scores of the last row rank them."""
    by_cell: dict[tuple[str, str, str], dict[str, Entry]] = {}
    for entry in query.entries:
        if entry.is_done and not entry.is_imported and not entry.values.get("fold"):
            cell = (entry.source, entry.seed, entry.structure)
            by_cell.setdefault(cell, {})[entry.label] = entry
    if not by_cell:
        return None
    source, seed, structure = max(by_cell, key=lambda cell: len(by_cell[cell]))
    entries = dict(list(by_cell[source, seed, structure].items())[-_MAX_ROWS:])
    label, ranking = list(entries.items())[-1]
    scored: dict[str, list[tuple[float, str]]] = {}
    for score in ranking.scores(query.spec.protocol):
        if score.target != ranking.source:
            goodness = MAIN.goodness(score.values.get(MAIN.name, math.nan))
            scored.setdefault(score.target, []).append((goodness, score.case))
    cases = tuple(
        (site, case, reason)
        for site in query.domains
        if site in scored
        for case, reason in by_rule(scored[site])
    )
    protocol = query.spec.protocol
    caption = RULE.format(
        metric=MAIN.symbol, protocol=protocol, row=label, source=source, seed=seed
    )
    return Choice(entries, cases, protocol, caption) if cases else None


def by_rule(scores: Sequence[tuple[float, str]]) -> list[tuple[str, str]]:
    """The worst, the (lower) median and the 90th-percentile case, each once, with the reason."""
    ranked = [case for _, case in sorted(scores)]
    last = len(ranked) - 1
    picked = {"worst": 0, "median": last // 2, "90th percentile": round(0.9 * last)}
    reasons: dict[str, list[str]] = {}
    for reason, position in picked.items():
        reasons.setdefault(ranked[position], []).append(reason)
    return [(case, ", ".join(of_case)) for case, of_case in reasons.items()]


def qualitative_figure(choice: Choice, dataset: DatasetStore, masks: Mapping[str, Path]) -> Figure:
    """A figure with one line per case: the image with its reference, then every row's prediction.

    Args:
        choice: The cases and rows to show.
        dataset: Store of the images and references.
        masks: Row of the table -> `masks.npz` of its evaluation.
    """
    loaded = {label: _load(path) for label, path in masks.items()}
    lines = [_line(choice, dataset, case, loaded) for _, case, _ in choice.cases]
    mosaic = np.concatenate([np.concatenate(line, axis=1) for line in lines], axis=0)
    side_y, side_x = mosaic.shape[0] / len(lines), mosaic.shape[1] / (1 + len(choice.entries))
    # one pixel of a case is one pixel of the figure
    size = (mosaic.shape[1] / DPI + _MARGIN_IN, mosaic.shape[0] / DPI + _TOP_IN)
    figure = Figure(figsize=size)
    left, height = _MARGIN_IN / size[0], 1 - _TOP_IN / size[1]
    axes = figure.add_axes((left, 0.0, 1 - left, height))
    axes.imshow(mosaic, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    for column, title in enumerate(["image", *choice.entries]):
        axes.text((column + 0.5) * side_x, -8, title, fontsize=8, ha="center", va="bottom")
    for line, (site, case, why) in enumerate(choice.cases):
        middle = (line + 0.5) * side_y
        words = f"{site}\n{case}\n{why}"
        axes.text(-8, middle, words, fontsize=6, ha="right", va="center")
        for column, entry in enumerate(choice.entries.values()):
            shown = MAIN.scale * _main(entry, case, choice.protocol)
            corner = ((column + 2) * side_x - 6, (line + 1) * side_y - 6)
            axes.text(
                *corner, f"{shown:.1f}", color="white", fontsize=7, ha="right",
                bbox={"facecolor": "black", "edgecolor": "none", "alpha": 0.6, "pad": 1.5},
            )  # fmt: skip
    return figure


def _main(entry: Entry, case: str, protocol: str) -> float:
    """The case's main metric under a protocol."""
    scores = (s for s in entry.scores(protocol) if s.case == case)
    return next((score.values.get(MAIN.name, math.nan) for score in scores), math.nan)


def _line(
    choice: Choice,
    dataset: DatasetStore,
    case: str,
    masks: Mapping[str, Mapping[str, NDArray[np.uint8]]],
) -> list[NDArray[np.uint8]]:
    """The panels of a case, `(H, W, 3)` each."""
    structure = next(iter(choice.entries.values())).structure
    image, reference, position = _largest_slice(dataset, case, structure)
    panels = [paint(image, [(reference, REFERENCE_RGB)], thickness=2)]
    for label in choice.entries:
        packed = masks.get(label, {}).get(case)
        layers = [(reference, REFERENCE_RGB)]
        if packed is not None:
            layers.append((unpack(packed[position], reference.shape[-1]), PREDICTION_RGB))
        panels.append(paint(image, layers, thickness=2))
    return panels


def _load(path: Path) -> dict[str, NDArray[np.uint8]]:
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


def _largest_slice(
    dataset: DatasetStore, case: str, structure: str
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], int]:
    """Image, reference and position (among the structure's slices) of its largest slice."""
    record = dataset.case(case)
    kept = [i for i, is_there in enumerate(record.foreground[structure]) if is_there]
    references = [dataset.mask(record.start + i, structure).astype(bool) for i in kept]
    position = int(np.argmax([reference.sum() for reference in references]))
    return dataset.image(record.start + kept[position])[0], references[position], position
