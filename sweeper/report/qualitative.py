"""Pictures of cases that a rule chose, so that nobody can pick the pretty ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from sweeper.report.entries import Entry
    from sweeper.report.query import Query
    from sweeper.store.dataset_store import DatasetStore

RULE = (
    "Cases chosen by rule, per target site: the worst, the median and the 90th-percentile case by"
    " strict Dice of the row {row}, trained on {source}, seed {seed}; slice with the largest"
    " reference. Reference green, prediction red, Dice of the case in the corner."
)
_MAX_ROWS = 6
_REFERENCE, _PREDICTION = "#40DC60", "#FF4040"


@dataclass(frozen=True, slots=True)
class Choice:
    """What the figure shows.

    Attributes:
        entries: By row of the table, all of one source and seed.
        cases: (site, case, why), sites in the dataset's order.
        caption: The rule, in words.
    """

    entries: Mapping[str, Entry]
    cases: tuple[tuple[str, str, str], ...]
    caption: str


def choose(query: Query) -> Choice | None:
    """Cases by rule, for the first source that most rows have; the last row ranks the cases."""
    by_place: dict[tuple[str, str, str], dict[str, Entry]] = {}
    for entry in query.entries:
        if entry.is_done and not entry.is_imported and not entry.values.get("fold"):
            where = (entry.source, entry.seed, entry.structure)
            by_place.setdefault(where, {})[entry.label] = entry
    if not by_place:
        return None
    place = max(by_place, key=lambda where: len(by_place[where]))
    entries = dict(list(by_place[place].items())[-_MAX_ROWS:])
    label, ranking = list(entries.items())[-1]
    found: dict[str, list[tuple[float, str]]] = {}
    for score in ranking.scores("strict"):
        if score.target != ranking.source:
            dice = -1.0 if math.isnan(score.dice) else score.dice
            found.setdefault(score.target, []).append((dice, score.case))
    cases = tuple(
        (site, case, why)
        for site in query.domains
        if site in found
        for case, why in by_rule(found[site])
    )
    caption = RULE.format(row=label, source=place[0], seed=place[1])
    return Choice(entries, cases, caption) if cases else None


def by_rule(scores: Sequence[tuple[float, str]]) -> list[tuple[str, str]]:
    """The worst, the median (lower one of two) and the 90th-percentile case, each once."""
    ranked = [case for _, case in sorted(scores)]
    last = len(ranked) - 1
    picked = {"worst": 0, "median": last // 2, "90th percentile": round(0.9 * last)}
    why: dict[str, list[str]] = {}
    for word, position in picked.items():
        why.setdefault(ranked[position], []).append(word)
    return [(case, ", ".join(words)) for case, words in why.items()]


def qualitative_figure(choice: Choice, dataset: DatasetStore, masks: Mapping[str, Path]) -> Figure:
    """One line a case: the image with its reference, then every row's prediction.

    Args:
        choice: What to show.
        dataset: Where the images and references are.
        masks: By row of the table the `masks.npz` of its scoring.
    """
    columns = 1 + len(choice.entries)
    lines = len(choice.cases)
    figure = Figure(figsize=(1.5 * columns + 0.6, 1.5 * lines + 0.4), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False)
    loaded = {label: _load(path) for label, path in masks.items()}
    for line, (site, case, why) in zip(axes, choice.cases, strict=True):
        structure = next(iter(choice.entries.values())).structure
        image, reference, position = _widest_slice(dataset, case, structure)
        _show(line[0], image, reference, None, "")
        line[0].set_ylabel(f"{site}\n{case}\n{why}", fontsize=6)
        for panel, (label, entry) in zip(line[1:], choice.entries.items(), strict=True):
            packed = loaded.get(label, {}).get(case)
            prediction = None if packed is None else _unpack(packed[position], reference.shape)
            dice = next((s.dice for s in entry.scores("strict") if s.case == case), math.nan)
            _show(panel, image, reference, prediction, f"{100 * dice:.1f}")
    for axis, title in zip(axes[0], ["image", *choice.entries], strict=True):
        axis.set_title(title, fontsize=7)
    return figure


def _load(path: Path) -> dict[str, NDArray[np.uint8]]:
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


def _unpack(packed: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    return np.unpackbits(packed, axis=-1, count=shape[-1]).astype(bool)


def _widest_slice(
    dataset: DatasetStore, case: str, structure: str
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], int]:
    """Image, reference and position among the structure's slices of the largest one."""
    record = dataset.case(case)
    kept = [i for i, is_there in enumerate(record.foreground[structure]) if is_there]
    references = [dataset.mask(record.start + i, structure).astype(bool) for i in kept]
    position = int(np.argmax([reference.sum() for reference in references]))
    return dataset.image(record.start + kept[position])[0], references[position], position


def _show(
    axes: Axes,
    image: NDArray[np.uint8],
    reference: NDArray[np.bool_],
    prediction: NDArray[np.bool_] | None,
    corner: str,
) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=255)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.contour(reference, [0.5], colors=_REFERENCE, linewidths=0.7)
    if prediction is not None and prediction.any() and not prediction.all():
        axes.contour(prediction, [0.5], colors=_PREDICTION, linewidths=0.7)
    axes.text(
        0.97, 0.03, corner, color="white", fontsize=6, ha="right", va="bottom",
        transform=axes.transAxes,
    )  # fmt: skip
