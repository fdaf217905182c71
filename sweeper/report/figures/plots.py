"""The usual figures of papers, in colours that colour-blind readers can distinguish."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from sweeper.report.aggregate import make_cell
from sweeper.report.build import build_tables
from sweeper.report.statistics.comparison import compare_rows, table_statistics
from sweeper.report.statistics.contributions import defined_patients
from sweeper.report.statistics.wilcoxon import patient_means
from sweeper.report.words import DASH, SYNTHETIC, counted, number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sweeper.report.query import Query
    from sweeper.report.statistics.comparison import Comparison
    from sweeper.report.statistics.contributions import Patient
    from sweeper.report.table import Cell

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
"""The palette of Okabe and Ito."""

_MARKERS, _HATCHES = ("o", "D", "^"), ("", "////", "xxxx")
"""For the ninth and later rows, whose colours repeat."""

_DPI = 150
_MARGIN_IN = 0.15


def write_figures(query: Query, folder: Path) -> dict[str, Path]:
    """Write every figure that the query allows, as PNG and PDF; returns name -> PNG."""
    makers: dict[str, Callable[[Query], Figure | None]] = {
        "boxes": box_plot,
        "forest": forest_plot,
        "grid": grid_plot,
        "matrix": heat_map,
        "seeds": seed_strip,
    }
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for name, make in makers.items():
        figure = make(query)
        if figure is not None:
            written[name] = save(figure, folder / f"{name}.png", query.is_synthetic)
    return written


def save(figure: Figure, path: Path, is_synthetic: bool) -> Path:
    """Write the figure as PNG and PDF, with a note in the top margin if the data is synthetic."""
    if is_synthetic:
        figure.text(0.998, 0.998, SYNTHETIC, ha="right", va="top", fontsize=6, color="#B00020")
    with mpl.rc_context({"pdf.fonttype": 42}):
        figure.savefig(path, dpi=_DPI, pil_kwargs={"compress_level": 1})
        figure.savefig(path.with_suffix(".pdf"))
    # 256 colours are enough for lines and grey pictures, and keep the HTML page small
    Image.open(path).convert("RGB").quantize(256).save(path)
    return path


def _leave_margin(figure: Figure) -> None:
    """Leave space at the top for the note on synthetic data."""
    figure.tight_layout(rect=(0, 0, 1, 1 - _MARGIN_IN / figure.get_size_inches()[1]))


def _patient_means(query: Query) -> dict[str, dict[Patient, float]]:
    """Row -> patient -> mean over seeds and columns; nan if one of them is undefined."""
    return {label: patient_means(list(query.averaged(label).values())) for label in query.pools}


def box_plot(query: Query) -> Figure | None:
    """One group of boxes per target site, one box per row, patients as dots.

    A patient with an undefined number has no dot; the legend counts those patients.
    """
    means = _patient_means(query)
    sites = [d for d in query.domains if any(p[0] == d for row in means.values() for p in row)]
    if not sites:
        return None
    figure = Figure(figsize=(1.5 + 0.9 * len(sites) + 0.25 * len(sites) * len(means), 4.2))
    axes = figure.add_subplot()
    width = 0.8 / len(means)
    generator = np.random.default_rng(0)
    for i, (label, by_patient) in enumerate(means.items()):
        colour, again = COLOURS[i % len(COLOURS)], i // len(COLOURS) % len(_MARKERS)
        for position, site in enumerate(sites):
            values = [
                value
                for patient, value in by_patient.items()
                if patient[0] == site and math.isfinite(value)
            ]
            if not values:
                continue
            x = position + (i - (len(means) - 1) / 2) * width
            box = axes.boxplot(
                [values], positions=[x], widths=width * 0.85, showfliers=False, patch_artist=True
            )
            box["boxes"][0].set(
                facecolor=colour, alpha=0.35, edgecolor=colour, hatch=_HATCHES[again]
            )
            box["medians"][0].set(color="black")
            spread = generator.uniform(-width / 5, width / 5, len(values))
            axes.scatter(
                x + spread,
                values,
                s=9,
                color=colour,
                marker=_MARKERS[again],
                linewidths=0,
                zorder=3,
            )
        undefined = sum(math.isnan(value) for value in by_patient.values())
        name = f"{label} ({undefined} undefined)" if undefined else label
        axes.scatter([], [], s=40, color=colour, marker=_MARKERS[again], label=name)
    axes.set_xticks(range(len(sites)), [query.shown(site) for site in sites])
    axes.set_xlim(-0.6, len(sites) - 0.4)
    low, high = query.metric.axis
    # slightly above the limit, so that the dot of a perfect case is not cut
    axes.set_ylim(bottom=low, top=None if high is None else high + 0.02 * (high - low))
    axes.set_ylabel(query.metric.label)
    axes.set_title("One dot a patient of the target site: mean over sources and seeds", fontsize=9)
    _legend(axes, len(means))
    _leave_margin(figure)
    return figure


def _legend(axes: mpl.axes.Axes, count: int) -> None:
    axes.legend(
        frameon=False,
        fontsize=8,
        ncols=min(4, count),
        loc="upper center",
        bbox_to_anchor=(0.5, -0.1),
    )


def forest_plot(query: Query) -> Figure | None:
    """Differences from the baseline: overall, then by target site.

    With 95 % intervals over seeds and patients where both rows have three seeds, and the site two
    patients; else the difference alone.
    """
    overall = table_statistics(query)
    labels = [row.label for row in overall.rows]
    if len(labels) < 2:
        return None
    sections: dict[str, tuple[Comparison, ...]] = {"all": overall.rows}
    patients = defined_patients([query.averaged(label) for label in labels])
    for site in query.domains:
        inside = [patient for patient in patients if patient[0] == site]
        if inside:
            sections[site] = compare_rows(query, labels, overall.baseline, inside)
    order = list(query.pools)  # the box plot's order, so that the colours are the same
    lines = len(sections) * len(labels)
    figure = Figure(figsize=(7, 1.2 + 0.2 * lines))
    axes = figure.add_subplot()
    ticks = []
    y = 0
    for section, differences in sections.items():
        for row in differences:
            if row.delta is None:
                continue
            colour = COLOURS[order.index(row.label) % len(COLOURS)]
            if row.delta_interval is not None:
                axes.plot(row.delta_interval, [y, y], color=colour, linewidth=1.5)
            axes.plot([row.delta], [y], "s", color=colour, markersize=5)
            ticks.append((y, f"{query.shown(section)}: {row.label}"))
            y += 1
        y += 1
    axes.axvline(0, color="grey", linewidth=0.8)
    axes.set_yticks([t for t, _ in ticks], [text for _, text in ticks], fontsize=8)
    axes.invert_yaxis()
    has_intervals = any(row.delta_interval for rows in sections.values() for row in rows)
    meaning = "95 % interval over seeds and patients" if has_intervals else "no test, no interval"
    axes.set_xlabel(f"difference to {overall.baseline}, {query.metric.label}, {meaning}")
    _leave_margin(figure)
    return figure


def seed_strip(query: Query) -> Figure | None:
    """The average of each seed as a dot, one line per row, which shows the spread over seeds.

    Nothing with a single seed, which has no spread.
    """
    averages = {label: _seed_averages(query, label) for label in query.rows}
    names = [
        f"{label} ({counted(undefined, 'seed')} undefined)" if undefined else label
        for label, by_seed in averages.items()
        for undefined in (sum(map(math.isnan, by_seed.values())),)
    ]
    if max(map(len, averages.values()), default=0) < 2:
        return None
    figure = Figure(figsize=(6.5, 1.1 + 0.35 * len(averages)))
    axes = figure.add_subplot()
    for y, by_seed in enumerate(averages.values()):
        colour, marker = COLOURS[y % len(COLOURS)], _MARKERS[y // len(COLOURS) % len(_MARKERS)]
        values = [value for value in by_seed.values() if math.isfinite(value)]
        axes.plot(values, [y] * len(values), marker, color=colour, markersize=6, alpha=0.75)
        if values:
            axes.plot([fmean(values)], [y], "|", color="black", markersize=16)
    axes.set_yticks(range(len(averages)), names, fontsize=8)
    axes.set_ylim(len(averages) - 0.5, -0.5)
    axes.set_xlabel(f"average of a seed, {query.metric.label}; bar = mean over seeds")
    axes.grid(axis="x", color="#8884", linewidth=0.5)
    _leave_margin(figure)
    return figure


def _seed_averages(query: Query, label: str) -> dict[str, float]:
    """The table's average by seed, without seeds that lack a cell; nan if undefined."""
    by_column = query.pools[label]
    made = [make_cell(by_column.get(column, {}), query.spec)[1] for column in query.columns]
    seeds = set.intersection(*(set(values) for values in made)) if made else set()
    return {seed: fmean(values[seed] for values in made) for seed in sorted(seeds)}


def grid_plot(query: Query) -> Figure | None:
    """The average against the number of prompt points, with its 95 % band if it exists."""
    if query.spec.rows != "grid_size":
        return None
    points = sorted(
        (int(row.label), row) for row in table_statistics(query).rows if row.label.isdigit()
    )
    if len(points) < 2:
        return None
    figure = Figure(figsize=(5, 3.6))
    axes = figure.add_subplot()
    sizes = [size for size, _ in points]
    intervals = [row.interval for _, row in points if row.interval is not None]
    if len(intervals) == len(points):
        low, high = zip(*intervals, strict=True)
        words = "95 % interval over seeds and patients"
        axes.fill_between(sizes, low, high, color=COLOURS[0], alpha=0.2, label=words)
        axes.legend(frameon=False, fontsize=8)
    axes.plot(sizes, [row.mean for _, row in points], "o-", color=COLOURS[0])
    axes.set_xticks(sizes, [f"{size}x{size}" for size in sizes], fontsize=8)
    axes.set_xlabel("prompt grid")
    axes.set_ylabel(query.metric.label)
    _leave_margin(figure)
    return figure


def heat_map(query: Query) -> Figure | None:
    """Source x target, one panel per row of the table; the diagonal is source validation."""
    spec = query.spec.model_copy(update={"columns": "matrix"})
    tables = build_tables(replace(query, spec=spec))
    grids = [[row for row in table.rows if not row.is_mean] for table in tables]
    if not any(grids):
        return None
    side = 0.55 * len(query.domains) + 1.3
    height = 0.55 * max(map(len, grids)) + 1.3
    columns = 2 if len(tables) in (2, 4) else min(3, len(tables))
    lines = -(-len(tables) // columns)
    figure = Figure(figsize=(columns * side + 0.8, lines * height), layout="constrained")
    top = _MARGIN_IN / (lines * height)
    figure.set_layout_engine("constrained", rect=(0, 0, 1, 1 - top))
    cells = [cell for rows in grids for row in rows for cell in row.cells[:-1]]
    numbers = [c.value for c in cells if c.value is not None and math.isfinite(c.value)]
    low, high = query.metric.axis
    limits = (low, max(numbers, default=low + 1.0) if high is None else high)
    for i, (table, rows) in enumerate(zip(tables, grids, strict=True)):
        axes = figure.add_subplot(lines, columns, i + 1)
        values = np.array(
            [[math.nan if c.value is None else c.value for c in row.cells[:-1]] for row in rows]
        )
        picture = axes.imshow(values, cmap="cividis", vmin=limits[0], vmax=limits[1])
        _write_numbers(axes, [row.cells[:-1] for row in rows], limits)
        names = [table.columns[:-1], [row.label for row in rows]]
        axes.set_xticks(range(len(names[0])), names[0], rotation=60, ha="right", fontsize=7)
        axes.set_yticks(range(len(names[1])), names[1], fontsize=7)
        axes.set_title(table.row_header.removesuffix(": source"), fontsize=9)
        axes.set_xlabel("target", fontsize=8)
        axes.set_ylabel("source", fontsize=8)
    figure.colorbar(picture, ax=figure.axes, shrink=0.7, label=query.metric.label)
    return figure


def _write_numbers(
    axes: mpl.axes.Axes, rows: Sequence[Sequence[Cell]], limits: tuple[float, float]
) -> None:
    """Every cell's value in its field; `nan` where it is undefined, a dash where it is missing."""
    middle = fmean(limits)
    for y, cells in enumerate(rows):
        for x, cell in enumerate(cells):
            value = math.nan if cell.value is None else cell.value
            colour = "white" if value < middle else "black"
            words = DASH if cell.value is None else number(value, 0)
            axes.text(x, y, words, ha="center", va="center", color=colour, fontsize=7)
