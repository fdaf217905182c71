from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hand_made import plain, results, run
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image

from sweeper.config.report import ReportSpec
from sweeper.report.figures.plots import (
    box_plot,
    forest_plot,
    grid_plot,
    heat_map,
    save,
    seed_strip,
    write_figures,
)
from sweeper.report.query import make_query

if TYPE_CHECKING:
    from pathlib import Path


def query(**spec):
    runs = (*plain(method="unet"), *plain(method="desam", gain=0.3))
    return make_query(
        results(*runs), ReportSpec(**{"columns": "source", "baseline": "unet", **spec})
    )


def test_every_figure_is_written_as_png_and_pdf(tmp_path: Path) -> None:
    written = write_figures(query(), tmp_path)
    assert set(written) == {"boxes", "forest", "matrix"}
    for path in written.values():
        assert np.asarray(Image.open(path).convert("L")).std() > 10
        assert path.with_suffix(".pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("width_cm", [8.5, 12.2, 17.4])
@pytest.mark.parametrize("make", [box_plot, forest_plot, heat_map, seed_strip])
def test_figures_have_their_width_on_paper_and_texts_of_7_to_8_pt(
    make, width_cm: float, tmp_path: Path
) -> None:
    runs = [
        made
        for method, gain in (("a_method_with_a_long_name", 0.0), ("desam", 0.3))
        for seed in (0, 1)
        for made in plain(method=method, gain=gain + 0.1 * seed, seed=seed)
    ]
    spec = ReportSpec(columns="source", baseline="desam")
    figure = make(make_query(results(*runs), spec), width_cm)
    path = save(figure, tmp_path / "f.png", is_synthetic=True)
    pdf = path.with_suffix(".pdf").read_bytes()
    (width_pt,) = re.findall(rb"/MediaBox \[ 0 0 ([0-9.]+) ", pdf)
    assert float(width_pt) == pytest.approx(width_cm / 2.54 * 72, abs=0.5)
    assert b"/FontFile2" in pdf  # embedded TrueType
    drawn = figure.get_tightbbox(FigureCanvasAgg(figure).get_renderer())
    assert drawn.x0 >= -0.01
    assert drawn.x1 <= width_cm / 2.54 + 0.01
    for text in figure.findobj(Text):
        if text.get_text() and text.get_visible():
            assert 7.0 <= text.get_fontsize() <= 8.0


def test_the_axis_of_the_box_plot_is_that_of_its_data() -> None:
    low, high = box_plot(query()).axes[0].get_ylim()
    # patients' means are between 10 and 100
    dots = [
        y
        for c in box_plot(query()).axes[0].collections
        for _, y in c.get_offsets()
        if math.isfinite(y)
    ]
    assert min(dots) - low == pytest.approx(0.05 * (max(dots) - min(dots)))
    assert high > max(dots)


def test_the_box_plot_shows_every_patient_once_a_row() -> None:
    axes = box_plot(query()).axes[0]
    dots = sum(len(c.get_offsets()) for c in axes.collections)
    assert dots == 2 * 6
    assert [t.get_text() for t in axes.get_xticklabels()] == ["A", "B", "C"]


def test_more_rows_than_colours_are_told_apart_by_their_markers() -> None:
    runs = [r for i in range(10) for r in plain(method=f"m{i}", gain=0.01 * i)]
    axes = box_plot(make_query(results(*runs), ReportSpec(columns="source"))).axes[0]
    looks = {
        (tuple(handle.get_facecolor()[0]), len(handle.get_paths()[0].vertices))
        for handle in axes.get_legend().legend_handles
    }
    assert len(looks) == 10


def test_the_forest_shows_the_statistics_differences() -> None:
    axes = forest_plot(query()).axes[0]
    squares = [line for line in axes.lines if line.get_marker() == "s"]
    # C's only patient gains 30 points under sources A and B: 30/4 and 30/3 over three columns
    assert squares[0].get_xdata()[0] == pytest.approx((30 / 4 + 30 / 3) / 3)
    ticks = [t.get_text() for t in axes.get_yticklabels()]
    assert ticks == ["all: desam", "A: desam", "B: desam", "C: desam"]
    assert [s.get_xdata()[0] for s in squares[1:]] == pytest.approx([0, 0, 30])


def test_the_seed_strip_shows_every_seeds_average_and_none_for_a_single_seed() -> None:
    assert seed_strip(query()) is None
    runs = (*plain(seed=0), *plain(seed=1, gain=0.3))
    axes = seed_strip(make_query(results(*runs), ReportSpec(columns="source"))).axes[0]
    first = 134 / 3
    assert list(axes.lines[0].get_xdata()) == pytest.approx([first, first + (7.5 + 10) / 3])


def test_the_heat_map_holds_the_matrix() -> None:
    figure = heat_map(query())
    first = np.asarray(figure.axes[0].images[0].get_array())
    assert np.allclose(first, [[90, 60, 20], [60, 80, 30], [40, 30, 70]])


def test_the_grid_plot_needs_a_table_over_grid_sizes() -> None:
    assert grid_plot(query()) is None
    runs = [
        replace(
            run("desam", "A", {"B": (0.5, 0.6, level), "C": (level,)}, evaluation={"grid_size": g}),
        )
        for g, level in (("1", 0.3), ("9", 0.6), ("25", 0.7))
    ]
    runs = [replace(r, tags={**r.tags, "train_id": f"{r.train_id}{i}"}) for i, r in enumerate(runs)]
    figure = grid_plot(make_query(results(*runs), ReportSpec(columns="source", rows="grid_size")))
    assert list(figure.axes[0].lines[0].get_xdata()) == [1, 9, 25]
    assert np.allclose(figure.axes[0].lines[0].get_ydata(), [42.5, 57.5, 62.5])
