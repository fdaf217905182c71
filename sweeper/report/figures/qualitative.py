"""Pictures of cases that are selected by a rule, to avoid cherry-picking."""

from __future__ import annotations

import math
import zipfile
import zlib
from dataclasses import dataclass, replace
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from desam_model.scoring.metric_table import MAIN
from sweeper.config.problems import nearest
from sweeper.errors import ConfigError, StoreError
from sweeper.report.build import build_table
from sweeper.report.figures import WIDTH_CM
from sweeper.report.figures.contours import PREDICTION_RGB, REFERENCE_RGB, unpack
from sweeper.report.figures.plots import at_print_size, inches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from sweeper.report.entries import Entry
    from sweeper.report.query import Query
    from sweeper.store.dataset.store import DatasetStore

_BY_RULE = (
    "Cases chosen by rule, per target site: the worst, the median and the 90th-percentile case by"
    " {metric} (protocol {protocol}) of the row {row}"
)
_BY_NAME = "Cases chosen by name"
_SHOWN = (
    ", trained on {source}, seed {seed}; slice with the largest reference. Reference blue,"
    " prediction orange, {metric} of the case (protocol {protocol}) in the corner."
)
MAX_ROWS = 4
"""Rows of the table that the figure shows."""

_TOP_CM, _GAP = 0.85, 4
_LETTER_CM = 0.14


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


def choose(query: Query, names: Sequence[str] = ()) -> Choice | None:
    """Cases by rule or by name, for the source that most rows have.

    By rule the scores of the last row rank the cases.

    Args:
        query: The table's.
        names: Cases to show; by default those that the rule picks.

    Raises:
        ConfigError: No row has scores of a case of that name.
    """
    by_cell: dict[tuple[str, str, str], dict[str, Entry]] = {}
    for entry in query.entries:
        if entry.is_done and not entry.is_imported and not entry.values.get("fold"):
            cell = (entry.source, entry.seed, entry.structure)
            by_cell.setdefault(cell, {})[entry.label] = entry
    if not by_cell:
        return None
    source, seed, structure = max(by_cell, key=lambda cell: len(by_cell[cell]))
    entries, which = _shown_rows(query, by_cell[source, seed, structure])
    label, ranking = list(entries.items())[-1]
    protocol = query.spec.protocol
    scored: dict[str, list[tuple[float, str]]] = {}
    for score in ranking.scores(protocol):
        if score.target not in ranking.sources:
            goodness = MAIN.goodness(score.values.get(MAIN.name, math.nan))
            scored.setdefault(score.target, []).append((goodness, score.case))
    if names:
        cases = _by_name(scored, names)
    else:
        cases = tuple(
            (site, case, reason)
            for site in query.domains
            if site in scored
            for case, reason in by_rule(scored[site])
        )
    caption = ((_BY_NAME if names else _BY_RULE) + _SHOWN + which).format(
        metric=MAIN.symbol, protocol=protocol, row=label, source=source, seed=seed
    )
    return Choice(entries, cases, protocol, caption) if cases else None


def _shown_rows(query: Query, entries: Mapping[str, Entry]) -> tuple[dict[str, Entry], str]:
    """At most `MAX_ROWS` rows in the table's order, and the rule that picks them as a text."""
    if len(entries) <= MAX_ROWS:
        return dict(entries), ""
    spec = query.spec.model_copy(update={"stars": False, "published": False, "columns": "source"})
    averages = {
        row.label: query.metric.goodness(math.nan if value is None else value)
        for row in build_table(replace(query, spec=spec)).rows
        for value in (row.cells[-1].value,)
        if row.label in entries
    }
    ranked = sorted(averages, key=lambda label: averages[label], reverse=True)
    baseline = query.spec.baseline
    first = [label for label in entries if baseline and label.startswith(baseline)][:1]
    kept = {*first, *[label for label in ranked if label not in first][: MAX_ROWS - len(first)]}
    words = "the baseline and the best by average" if first else "the best by average"
    return (
        {label: entry for label, entry in entries.items() if label in kept},
        f" Rows: {MAX_ROWS} of {len(entries)}, {words}.",
    )


def _by_name(
    scored: Mapping[str, Sequence[tuple[float, str]]], names: Sequence[str]
) -> tuple[tuple[str, str, str], ...]:
    sites = {case: site for site, cases in scored.items() for _, case in cases}
    for name in names:
        if name not in sites:
            raise ConfigError(
                f"--cases: {name!r} is not a tested case{nearest(name, list(sites))}; they are"
                f" {', '.join(sorted(sites))}"
            )
    return tuple((sites[name], name, "") for name in names)


def by_rule(scores: Sequence[tuple[float, str]]) -> list[tuple[str, str]]:
    """The worst, the (lower) median and the 90th-percentile case, each once, with the reason."""
    ranked = [case for _, case in sorted(scores)]
    last = len(ranked) - 1
    picked = {"worst": 0, "median": last // 2, "90th percentile": round(0.9 * last)}
    reasons: dict[str, list[str]] = {}
    for reason, position in picked.items():
        reasons.setdefault(ranked[position], []).append(reason)
    return [(case, ", ".join(of_case)) for case, of_case in reasons.items()]


@at_print_size
def qualitative_figure(
    choice: Choice,
    dataset: DatasetStore,
    masks: Mapping[str, Path],
    *,
    width_cm: float = WIDTH_CM,
) -> Figure:
    """A figure with one line per case: the image with its reference, then every row's prediction.

    Images are pixels; outlines and texts are vector graphics.

    Args:
        choice: The cases and rows to show.
        dataset: Store of the images and references.
        masks: Row of the table -> `masks.npz` of its evaluation.
        width_cm: Width on paper, at which texts have 7 pt.
    """
    loaded = {label: _load(path) for label, path in masks.items()}
    lines = [_line(choice, dataset, case, loaded) for _, case, _ in choice.cases]
    image, reference, prediction = (
        np.concatenate([np.concatenate(parts, axis=1) for parts in of_lines], axis=0)
        for of_lines in zip(*lines, strict=True)
    )
    side_y, side_x = image.shape[0] / len(lines), image.shape[1] / (1 + len(choice.entries))
    labels = [_label(*case) for case in choice.cases]
    label_cm = 0.3 + _LETTER_CM * max(len(part) for label in labels for part in label)
    # a pixel is as wide as it is high
    height_cm = (width_cm - label_cm) * image.shape[0] / image.shape[1] + _TOP_CM
    figure = Figure(figsize=(inches(width_cm), inches(height_cm)))
    left, height = label_cm / width_cm, 1 - _TOP_CM / height_cm
    axes = figure.add_axes((left, 0.0, 1 - left, height))
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto")
    for mask, rgb in ((reference, REFERENCE_RGB), (prediction, PREDICTION_RGB)):
        if mask.any():
            colour = tuple(channel / 255 for channel in rgb)
            axes.contour(mask, levels=[0.5], colors=[colour], linewidths=0.7)
    axes.set_axis_off()
    for column, title in enumerate(["image", *choice.entries]):
        words = "\n".join(wrap(title, 18))
        axes.text((column + 0.5) * side_x, -8, words, ha="center", va="bottom")
    for line, (label, (_, case, _)) in enumerate(zip(labels, choice.cases, strict=True)):
        axes.text(-8, (line + 0.5) * side_y, "\n".join(label), ha="right", va="center")
        for column, entry in enumerate(choice.entries.values()):
            shown = MAIN.scale * _main(entry, case, choice.protocol)
            corner = ((column + 2) * side_x - 6, (line + 1) * side_y - 6)
            axes.text(
                *corner, f"{shown:.1f}", color="white", ha="right",
                bbox={"facecolor": "black", "edgecolor": "none", "alpha": 0.6, "pad": 1.0},
            )  # fmt: skip
    return figure


def _label(site: str, case: str, why: str) -> list[str]:
    """The lines beside a case; its site only if its name does not say it."""
    return [part for part in ("" if case.startswith(site) else site, case, why) if part]


def _main(entry: Entry, case: str, protocol: str) -> float:
    """The case's main metric under a protocol."""
    scores = (s for s in entry.scores(protocol) if s.case == case)
    return next((score.values.get(MAIN.name, math.nan) for score in scores), math.nan)


def _line(
    choice: Choice,
    dataset: DatasetStore,
    case: str,
    masks: Mapping[str, Mapping[str, NDArray[np.uint8]]],
) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.bool_]], list[NDArray[np.bool_]]]:
    """Images, references and predictions `(H, W)` of the panels of a case, with a gap around."""
    structure = next(iter(choice.entries.values())).structure
    image, reference, position = _largest_slice(dataset, case, structure)
    predictions = [np.zeros_like(reference)]
    for label in choice.entries:
        packed = masks.get(label, {}).get(case)
        predictions.append(
            np.zeros_like(reference)
            if packed is None
            else unpack(packed[position], reference.shape[-1])
        )
    count = len(predictions)
    framed = _framed(image, 255)
    return (
        [framed] * count,
        [_framed(reference, False)] * count,
        [_framed(prediction, False) for prediction in predictions],
    )


def _framed(plane: NDArray[Any], edge: int) -> NDArray[Any]:
    """A plane whose outermost pixels are replaced, so that panels do not touch."""
    return np.pad(plane[_GAP:-_GAP, _GAP:-_GAP], _GAP, constant_values=edge)


def _load(path: Path) -> dict[str, NDArray[np.uint8]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError) as err:
        raise StoreError(
            f"{path} is damaged ({err}); 'sweeper doctor --repair' moves it aside, then run the"
            " sweep again"
        ) from err


def _largest_slice(
    dataset: DatasetStore, case: str, structure: str
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], int]:
    """Image, reference and position (among the structure's slices) of its largest slice."""
    record = dataset.case(case)
    kept = [i for i, is_there in enumerate(record.foreground[structure]) if is_there]
    references = [dataset.mask(record.start + i, structure).astype(bool) for i in kept]
    position = int(np.argmax([reference.sum() for reference in references]))
    return dataset.image(record.start + kept[position])[0], references[position], position
