from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hand_made import plain, results
from PIL import Image

from sweeper.config.report import ReportSpec
from sweeper.report.build import build_tables
from sweeper.report.costs import cost_table
from sweeper.report.figures.plots import write_figures
from sweeper.report.figures.qualitative import by_rule, choose
from sweeper.report.formats.html import Page, render_html
from sweeper.report.formats.registry import RENDERERS
from sweeper.report.query import make_query
from sweeper.report.words import cell_text

if TYPE_CHECKING:
    from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    runs = (*plain(method="unet"), *plain(method="<desam>", gain=0.3))
    query = make_query(results(*runs), ReportSpec(columns="source", baseline="unet"))
    figures = write_figures(query, folder)
    text = render_html(
        Page(
            title="Sweep <golden>",
            tables=build_tables(query),
            sides=[cost_table(query, {})],
            figures={f"Figure {name}": path for name, path in figures.items()},
            provenance={"git commit": "abc & def"},
        )
    )
    path = folder / "report.html"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_page_names_no_other_host_and_escapes_what_it_shows(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)
    assert "<desam>" not in text
    assert "&lt;desam&gt;" in text
    assert text.count("data:image/png") == 3


def test_cells_sort_by_their_unrounded_values(page: Path) -> None:
    values = re.findall(r"data-value=\"([^\"]+)\"", page.read_text(encoding="utf-8"))
    assert any(abs(float(value) - 134 / 3) < 1e-12 for value in values)


def test_the_page_markdown_csv_and_latex_hold_the_same_cells(page: Path) -> None:
    runs = (*plain(method="unet"), *plain(method="<desam>", gain=0.3))
    query = make_query(results(*runs), ReportSpec(columns="source", baseline="unet"))
    (table,) = build_tables(query)
    html = page.read_text(encoding="utf-8")
    csv = RENDERERS["csv"](table)
    for row in table.rows:
        for cell in row.cells:
            assert f">{cell_text(cell, table.digits)}</td>" in html
            assert cell_text(cell, table.digits) in RENDERERS["markdown"](table)
            assert cell_text(cell, table.digits) in RENDERERS["latex"](table)
            assert repr(cell.value) in csv


def test_cases_are_chosen_by_rule_and_each_once() -> None:
    scores = [(0.1 * i, f"c{i}") for i in (3, 1, 0, 2, 4, 5, 6, 7, 8, 9, 10)]
    assert by_rule(scores) == [("c0", "worst"), ("c5", "median"), ("c9", "90th percentile")]
    assert by_rule([(0.5, "only")]) == [("only", "worst, median, 90th percentile")]


def test_cases_are_chosen_under_the_tables_own_protocol() -> None:
    # strict turns the order of the cases around
    (first, *_) = plain()
    turned = tuple(
        score._replace(values={"dice": 1.0 - 0.1 * int(score.case[1])})
        if score.protocol == "strict"
        else score._replace(values={"dice": 0.1 * int(score.case[1])})
        for score in first.scores
    )
    worst = {}
    for protocol in ("desam2024", "strict"):
        spec = ReportSpec(columns="source", protocol=protocol)
        choice = choose(make_query(results(replace(first, scores=turned)), spec))
        assert choice is not None
        assert f"Dice (protocol {protocol})" in choice.caption
        assert choice.protocol == protocol
        worst[protocol] = next(case for site, case, why in choice.cases if why == "worst")
    assert worst == {"desam2024": "b1", "strict": "b3"}


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1400])
def test_the_page_fits_a_browser_window(page: Path, tmp_path: Path, width: int) -> None:
    picture = tmp_path / "page.png"
    subprocess.run(
        [
            str(CHROMIUM),
            *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            f"--window-size={width},3000",
            f"--screenshot={picture}",
            page.as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    pixels = np.asarray(Image.open(picture).convert("L"))
    assert pixels.shape[1] == width
    assert pixels.std() > 5
    # nothing but the page's own margin at the right edge: no content is cut off
    assert (pixels[:, -3:] == pixels[0, -1]).all()


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.slow
def test_a_click_on_a_header_sorts_the_rows_in_a_browser(page: Path, tmp_path: Path) -> None:
    # the first table's average: unet 44.67, <desam> more
    clicks = (
        "const cell = document.querySelectorAll('th')[4];"
        "const rows = document.querySelector('tbody').rows;"
        "const names = () => [...rows].map(r => r.cells[0].innerText);"
        "cell.click(); const falling = names(); cell.click(); const rising = names();"
        "document.body.innerText = JSON.stringify([falling, rising]);"
    )
    text = page.read_text(encoding="utf-8")
    copy = tmp_path / "sorted.html"
    copy.write_text(text.replace("</body>", f"<script>{clicks}</script></body>"), encoding="utf-8")
    done = subprocess.run(
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", copy.as_uri()],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert '[["&lt;desam&gt;","unet"],["unet","&lt;desam&gt;"]]' in done.stdout
