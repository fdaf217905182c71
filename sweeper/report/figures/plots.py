"""The usual figures of papers, in colours that colour-blind readers can distinguish."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import wraps
from statistics import fmean
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from sweeper.report.aggregate import make_cell
from sweeper.report.build import build_tables
from sweeper.report.figures import PNG_DPI, WIDTH_CM
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

P = ParamSpec("P")
T = TypeVar("T")

_NEW_LINE = "\n"

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
"""The palette of Okabe and Ito."""

_MARKERS, _HATCHES = ("o", "D", "^"), ("", "////", "xxxx")
"""For the ninth and later rows, whose colours repeat."""

_CM_PER_INCH = 2.54
_MARGIN_IN = 0.15
_SMALL_PT, _LARGE_PT = 7.0, 8.0
_PRINT: dict[Any, Any] = {
    "font.size": _SMALL_PT,
    "axes.titlesize": _LARGE_PT,
    "axes.labelsize": _SMALL_PT,
    "xtick.labelsize": _SMALL_PT,
    "ytick.labelsize": _SMALL_PT,
    "legend.fontsize": _SMALL_PT,
    "figure.titlesize": _LARGE_PT,
    "axes.linewidth": 0.6,
    "pdf.fonttype": 42,  # embedded TrueType, as publishers want
}
"""Texts of 7 to 8 pt at print size."""


def write_figures(query: Query, folder: Path, *, width_cm: float = WIDTH_CM) -> dict[str, Path]:
    """Write every figure that the query allows, as PNG and PDF; returns name -> PNG.

    Args:
        query: The table's.
        folder: Where to write.
        width_cm: Width on paper, at which texts have 7 to 8 pt.
    """
    makers: dict[str, Callable[[Query, float], Figure | None]] = {
        "boxes": box_plot,
        "forest": forest_plot,
        "grid": grid_plot,
        "matrix": heat_map,
        "seeds": seed_strip,
    }
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for name, make in makers.items():
        figure = make(query, width_cm)
        if figure is not None:
            written[name] = save(figure, folder / f"{name}.png", query.is_synthetic)
    return written


def at_print_size(make: Callable[P, T]) -> Callable[P, T]:
    """A maker of figures whose texts have the sizes of print."""

    @wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> T:
        with mpl.rc_context(_PRINT):
            return make(*args, **kwargs)

    return made


def inches(width_cm: float) -> float:
    """A width on paper, for Matplotlib."""
    return width_cm / _CM_PER_INCH


def save(figure: Figure, path: Path, is_synthetic: bool) -> Path:
    """Write the figure as PNG and PDF, with a note in the top margin if the data is synthetic."""
    if is_synthetic:
        figure.text(
            0.998, 0.998, SYNTHETIC, ha="right", va="top", fontsize=_SMALL_PT, color="#B00020"
        )
    with mpl.rc_context(_PRINT):
        figure.savefig(path, dpi=PNG_DPI, pil_kwargs={"compress_level": 1})
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


@at_print_size
def box_plot(query: Query, width_cm: float = WIDTH_CM) -> Figure | None:
    """One group of boxes per target site, one box per row, patients as dots.

    A patient with an undefined number has no dot; the legend counts those patients.
    """
    means = _patient_means(query)
    sites = [d for d in query.domains if any(p[0] == d for row in means.values() for p in row)]
    if not sites:
        return None
    columns = _legend_columns(list(means), width_cm)
    legend_in = 0.16 * -(-len(means) // columns)
    figure = Figure(figsize=(inches(width_cm), 2.4 + legend_in))
    axes = figure.add_subplot()
    width = 0.8 / len(means)
    dot = 9 if width_cm > _NARROW_CM else 4
    shown = [v for row in means.values() for v in row.values() if math.isfinite(v)]
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
                s=dot,
                color=colour,
                marker=_MARKERS[again],
                linewidths=0,
                zorder=3,
            )
        undefined = sum(math.isnan(value) for value in by_patient.values())
        name = f"{label} ({undefined} undefined)" if undefined else label
        axes.scatter([], [], s=16, color=colour, marker=_MARKERS[again], label=name)
    axes.set_xticks(range(len(sites)), [query.shown(site) for site in sites])
    axes.set_xlim(-0.6, len(sites) - 0.4)
    axes.set_ylim(*_limits(query, shown))
    axes.set_ylabel(query.metric.label)
    title = "One dot per patient of the target site: mean over sources and seeds"
    axes.set_title(title if width_cm > _NARROW_CM else "One dot per patient")
    axes.legend(
        frameon=False, ncols=columns, loc="upper center", bbox_to_anchor=(0.5, -0.1),
        handletextpad=0.2, columnspacing=1.0, labelspacing=0.3, borderaxespad=0.2,
    )  # fmt: skip
    _leave_margin(figure)
    return figure


_NARROW_CM = 9.0
"""A figure up to this width is one column of two."""


def _legend_columns(labels: Sequence[str], width_cm: float) -> int:
    """Columns of a legend whose names are no wider than the figure."""
    widest_in = 0.3 + 0.058 * max(map(len, labels), default=1)
    return max(1, min(len(labels), int(inches(width_cm) * 0.95 / widest_in)))


def _limits(query: Query, values: Sequence[float]) -> tuple[float, float]:
    """Limits of an axis that uses the space: the data with a margin, inside the metric's limits."""
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or 1.0
    lowest, highest = query.metric.axis
    # slightly beyond the limit, so that the dot of a perfect case is not cut
    beyond = 0.02 * (high - low)
    top = high + margin if highest is None else min(high + margin, highest + beyond)
    return max(low - margin, lowest - beyond), top


@at_print_size
def forest_plot(query: Query, width_cm: float = WIDTH_CM) -> Figure | None:
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
    figure = Figure(figsize=(inches(width_cm), 0.7 + 0.15 * (lines + len(sections))))
    axes = figure.add_subplot()
    ticks = []
    y = 0
    for section, differences in sections.items():
        for row in differences:
            if row.delta is None:
                continue
            colour = COLOURS[order.index(row.label) % len(COLOURS)]
            if row.delta_interval is not None:
                axes.plot(row.delta_interval, [y, y], color=colour, linewidth=1.2)
            axes.plot([row.delta], [y], "s", color=colour, markersize=3.5)
            ticks.append((y, f"{query.shown(section)}: {row.label}"))
            y += 1
        y += 1
    axes.axvline(0, color="grey", linewidth=0.8)
    axes.set_yticks([t for t, _ in ticks], [text for _, text in ticks])
    has_intervals = any(row.delta_interval for rows in sections.values() for row in rows)
    meaning = "95 % interval over seeds and patients" if has_intervals else "no test, no interval"
    words = f"difference to {overall.baseline}, {query.metric.label}"
    axes.set_xlabel(f"{words}{', ' if width_cm > _NARROW_CM else ',' + _NEW_LINE}{meaning}")
    axes.set_ylim(y - 1.5, -0.5)  # the last section's gap takes no space
    _leave_margin(figure)
    return figure


@at_print_size
def seed_strip(query: Query, width_cm: float = WIDTH_CM) -> Figure | None:
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
    figure = Figure(figsize=(inches(width_cm), 0.7 + 0.22 * len(averages)))
    axes = figure.add_subplot()
    for y, by_seed in enumerate(averages.values()):
        colour, marker = COLOURS[y % len(COLOURS)], _MARKERS[y // len(COLOURS) % len(_MARKERS)]
        values = [value for value in by_seed.values() if math.isfinite(value)]
        axes.plot(values, [y] * len(values), marker, color=colour, markersize=4, alpha=0.75)
        if values:
            axes.plot([fmean(values)], [y], "|", color="black", markersize=10)
    axes.set_yticks(range(len(averages)), names)
    axes.set_ylim(len(averages) - 0.5, -0.5)
    gap = " " if width_cm > _NARROW_CM else _NEW_LINE
    axes.set_xlabel(f"average of a seed, {query.metric.label};{gap}bar = mean over seeds")
    axes.grid(axis="x", color="#8884", linewidth=0.5)
    _leave_margin(figure)
    return figure


def _seed_averages(query: Query, label: str) -> dict[str, float]:
    """The table's average by seed, without seeds that lack a cell; nan if undefined."""
    by_column = query.pools[label]
    made = [make_cell(by_column.get(column, {}), query.spec)[1] for column in query.columns]
    seeds = set.intersection(*(set(values) for values in made)) if made else set()
    return {seed: fmean(values[seed] for values in made) for seed in sorted(seeds)}


@at_print_size
def grid_plot(query: Query, width_cm: float = WIDTH_CM) -> Figure | None:
    """The average against the number of prompt points, with its 95 % band if it exists."""
    if query.spec.rows != "grid_size":
        return None
    points = sorted(
        (int(row.label), row) for row in table_statistics(query).rows if row.label.isdigit()
    )
    if len(points) < 2:
        return None
    figure = Figure(figsize=(inches(min(width_cm, 12.2)), 2.4))
    axes = figure.add_subplot()
    sizes = [size for size, _ in points]
    intervals = [row.interval for _, row in points if row.interval is not None]
    if len(intervals) == len(points):
        low, high = zip(*intervals, strict=True)
        words = "95 % interval over seeds and patients"
        axes.fill_between(sizes, low, high, color=COLOURS[0], alpha=0.2, label=words)
        axes.legend(frameon=False)
    axes.plot(sizes, [row.mean for _, row in points], "o-", color=COLOURS[0])
    axes.set_xticks(sizes, [f"{size}x{size}" for size in sizes])
    axes.set_xlabel("prompt grid")
    axes.set_ylabel(query.metric.label)
    _leave_margin(figure)
    return figure


@at_print_size
def heat_map(query: Query, width_cm: float = WIDTH_CM) -> Figure | None:
    """Source x target, one panel per row of the table; the diagonal is source validation."""
    spec = query.spec.model_copy(update={"columns": "matrix"})
    tables = build_tables(replace(query, spec=spec))
    grids = [[row for row in table.rows if not row.is_mean] for table in tables]
    if not any(grids):
        return None
    most = max(1, int(inches(width_cm) / (0.24 * len(query.domains) + 0.8)))
    columns = 2 if len(tables) in (2, 4) and most > 1 else min(most, len(tables))
    lines = -(-len(tables) // columns)
    cell_in = min(0.4, (inches(width_cm) / columns - 0.9) / len(query.domains))
    height = cell_in * max(map(len, grids)) + 1.1
    figure = Figure(figsize=(inches(width_cm), lines * height), layout="constrained")
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
        axes.set_xticks(range(len(names[0])), names[0], rotation=60, ha="right")
        axes.set_yticks(range(len(names[1])), names[1])
        axes.set_title(table.row_header.removesuffix(": source"))
        axes.set_xlabel("target")
        axes.set_ylabel("source")
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
            axes.text(x, y, words, ha="center", va="center", color=colour)
