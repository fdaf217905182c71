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
from sweeper.errors import ConfigError
from sweeper.report.build import build_tables
from sweeper.report.costs import cost_table
from sweeper.report.figures.plots import write_figures
from sweeper.report.figures.qualitative import by_rule, choose
from sweeper.report.formats.html import Page, render_html
from sweeper.report.formats.registry import RENDERERS
from sweeper.report.query import make_query
from sweeper.report.row_details import row_details
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
            rows=row_details(query, lambda train_id: {"train_loss": [1.5, 1.0, 0.25]}),
            sources="columns",
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


def test_a_row_opens_to_the_values_of_its_cases_and_its_curves(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    (details,) = re.findall(r"<details><summary>unet: .*?</details>", text, re.DOTALL)
    assert details.startswith("<details><summary>unet: 3 trainings, 6 cases</summary>")
    lines = re.findall(r"<tr><td>(.*?)</td>(.*?)</tr>", details)
    by_case = {name: re.findall(r">([0-9.]*)</td>", cells) for name, cells in lines}
    # trained on A, B and C; see `plain`
    assert by_case["A a1"] == ["90.00", "50.00", "40.00"]
    assert by_case["C c1"] == ["20.00", "30.00", "70.00"]
    assert details.count("<small>train_loss: 1.5 to 0.25</small>") == 3
    assert details.count("<polyline") == 3


def test_a_choice_of_the_source_marks_its_cells_and_no_average(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert '<option value="">all</option><option>A</option><option>B</option>' in text
    head = text.split("<thead>")[1].split("</thead>")[0]
    assert '<th data-source="A">A</th>' in head
    assert "<th>Overall</th>" in head


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`, as WCAG 2.1 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_every_text_has_enough_contrast_by_day_at_night_and_on_paper(page: Path) -> None:
    style = page.read_text(encoding="utf-8").split("<style>")[1].split("</style>")[0]
    palettes = re.findall(r":root \{([^}]*)\}", style)
    assert len(palettes) == 3
    for palette in palettes:
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", palette))
        assert {"paper", "ink", "dim", "warn", "link"} <= set(colours)
        paper = luminance(colours["paper"])
        for name in ("ink", "dim", "warn", "link"):
            low, high = sorted((paper, luminance(colours[name])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, name
    # texts have no other colours
    assert not re.search(r"[^-]color: #", re.sub(r":root \{[^}]*\}", "", style))


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


def test_the_figure_of_cases_shows_four_rows_or_fewer_and_says_which() -> None:
    runs = [r for i in range(6) for r in plain(method=f"m{i}", gain=0.01 * i)]
    choice = choose(make_query(results(*runs), ReportSpec(columns="source", baseline="m1")))
    assert choice is not None
    assert list(choice.entries) == ["m1", "m3", "m4", "m5"]
    assert "Rows: 4 of 6, the baseline and the best by average." in choice.caption
    assert "of the row m5" in choice.caption
    few = choose(make_query(results(*runs[:9]), ReportSpec(columns="source")))
    assert few is not None
    assert list(few.entries) == ["m0", "m1", "m2"]
    assert "Rows:" not in few.caption


def test_cases_may_be_named_and_the_caption_says_so() -> None:
    query = make_query(results(*plain()), ReportSpec(columns="source"))
    choice = choose(query, ("c1", "b2"))
    assert choice is not None
    assert choice.cases == (("C", "c1", ""), ("B", "b2", ""))
    assert choice.caption.startswith("Cases chosen by name, trained on A, seed 0;")
    with pytest.raises(ConfigError, match="--cases: 'b9' is not a tested case"):
        choose(query, ("b9",))


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


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext is not installed")
@pytest.mark.slow
def test_on_a4_no_column_is_cut_off(tmp_path: Path) -> None:
    sites = [f"A-SITE-WITH-A-NAME-{i}" for i in range(9)]
    runs = [
        replace(made, params={**made.params, "seed": str(seed)})
        for seed in range(3)
        for made in plain(seed=seed, gain=0.1 * seed)
    ]
    query = make_query(results(*runs), ReportSpec(columns="source", baseline="unet"))
    (table,) = build_tables(query)
    first = table.rows[0]
    wide = replace(
        table,
        columns=(*sites, "Overall"),
        rows=(replace(first, cells=(*[first.cells[0]] * 9, first.cells[-1]), delta=12.34),),
    )
    page = tmp_path / "wide.html"
    text = render_html(Page(title="T", tables=[wide], sides=[], figures={}, provenance={}))
    page.write_text(text, encoding="utf-8")
    pdf = tmp_path / "wide.pdf"
    command = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    subprocess.run(
        [str(CHROMIUM), *command, f"--print-to-pdf={pdf}", page.as_uri()],
        check=True,
        capture_output=True,
        timeout=120,
    )
    boxes = subprocess.run(
        ["pdftotext", "-bbox", str(pdf), "-"], check=True, capture_output=True, text=True
    ).stdout
    (width,) = set(re.findall(r'<page width="([0-9.]+)"', boxes))
    assert float(width) == pytest.approx(595, abs=1)
    words = re.findall(r'xMax="([0-9.]+)" yMax="[0-9.]+">([^<]+)</word>', boxes)
    assert "+12.34" in [word for _, word in words]  # the last column
    assert max(float(right) for right, _ in words) < float(width) - 12 / 25.4 * 72 + 1
