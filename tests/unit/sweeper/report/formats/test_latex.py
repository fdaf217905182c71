"""LaTeX tables in the document classes of journals, measured by pdflatex itself."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hand_made import plain, results

from sweeper.config.report import ReportSpec
from sweeper.errors import ConfigError
from sweeper.report.build import build_table
from sweeper.report.formats.latex import LatexStyle, fits, render_latex, render_panels
from sweeper.report.published_rows import bibliography
from sweeper.report.query import make_query
from sweeper.report.table import Cell, Origin, ReportTable, TableRow

if TYPE_CHECKING:
    from pathlib import Path

SITES = ("RUNMC", "BMC", "I2CVB", "UCL", "BIDMC", "HK")
ROWS = ("Baseline", "RandConv", "CSDG", "MedSAM", "DeSAM whole box", "DeSAM grid points")


def needs_class(name: str) -> None:
    """Skip the test if pdflatex or the document class is not installed."""
    finder = shutil.which("kpsewhich")
    if shutil.which("pdflatex") is None or finder is None:
        pytest.skip("pdflatex is not installed")
    found = subprocess.run([finder, f"{name}.cls"], capture_output=True, text=True, check=False)
    if not found.stdout.strip():
        pytest.skip(f"{name}.cls is not installed")


def compiled(folder: Path, document: str, *, bibliography: str = "") -> str:
    """The log of pdflatex."""
    (folder / "t.tex").write_text(document, encoding="utf-8")
    commands = [["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]]
    if bibliography:
        (folder / "t.bib").write_text(bibliography, encoding="utf-8")
        commands += [["bibtex", "t"], commands[0], commands[0]]
    for command in commands:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]
    return (folder / "t.log").read_text(encoding="utf-8", errors="replace")


def wide(*, seeds: int = 3, digits: int = 1, measure: str = "Dice (%)") -> ReportTable:
    """A paper's main table: six sites, six rows, a published one, spreads, stars and marks."""

    def cell(value: float) -> Cell:
        return Cell(
            value=value,
            deviation=2.34 if seeds > 1 else None,
            seeds_done=seeds,
            seeds_planned=seeds,
            stars="*" if value > 74 else "°" if value < 72 else "",
        )

    rows = [
        TableRow(label=label, cells=tuple(cell(70.123 + i + j) for j in range(7)), delta=-1.5 * i)
        for i, label in enumerate(ROWS)
    ]
    published = TableRow(
        label="DeSAM grid points [published]",
        cells=tuple(Cell(value=82.8) for _ in range(7)),
        origin=Origin.PUBLISHED,
        note="Gao et al.",
        cite="gao2024desam",
    )
    return ReportTable(
        name="main",
        title="",
        row_header="method",
        columns=(*SITES, "Overall"),
        rows=(*rows, published),
        caption=("A caption with 100 % of it.", "Dataset phantom e9bd2000c1e7c3bd."),
        notes=(),
        draft_reasons=(),
        is_synthetic=False,
        baseline="Baseline",
        is_lower_better=False,
        digits=digits,
        short_caption=("A short caption.",),
        measure=measure,
    )


def document(class_line: str, body: str) -> str:
    return (
        f"{class_line}\n\\usepackage[T1]{{fontenc}}\n\\usepackage{{booktabs,xcolor}}\n"
        f"\\begin{{document}}\nText.\n{body}\n\\clearpage\\end{{document}}\n"
    )


@pytest.mark.parametrize(
    ("class_line", "style"),
    [
        (r"\documentclass{llncs}", LatexStyle(dropped=("delta", "spread"))),
        (r"\documentclass{IEEEtran}", LatexStyle(width_cm=17.4)),
        (
            r"\documentclass{IEEEtran}",
            LatexStyle(width_cm=8.5, dropped=("delta", "spread", "UCL", "BIDMC", "HK")),
        ),
        (r"\documentclass{elsarticle}", LatexStyle(dropped=("delta", "spread"))),
        (r"\documentclass{elsarticle}", LatexStyle(dropped=("HK", "spread"))),
    ],
    ids=["llncs", "IEEEtran page", "IEEEtran column", "elsarticle", "elsarticle with differences"],
)
def test_tables_that_are_said_to_fit_fit_the_classes_of_journals(
    class_line: str, style: LatexStyle, tmp_path: Path
) -> None:
    needs_class(re.findall(r"\{(\w+)\}", class_line)[0])
    tables = (wide(), wide(measure="HD95 (mm)"))
    assert fits(tables, style) is None
    log = compiled(tmp_path, document(class_line, render_panels(tables, style)))
    assert "Overfull" not in log


def test_a_table_is_never_set_below_7_pt_and_one_that_does_not_fit_is_measured() -> None:
    table = wide(digits=2)
    text = render_latex(table, LatexStyle(width_cm=8.5))
    assert r"\scriptsize" in text  # 7 pt in a document of 10 pt
    assert "resizebox" not in text
    needed = fits([table], LatexStyle(width_cm=8.5))
    assert needed is not None
    assert 12.2 < needed < 17.4
    assert fits([table], LatexStyle(width_cm=17.4)) is None
    roomy = render_latex(wide(seeds=1), LatexStyle(width_cm=17.4, dropped=("delta",)))
    assert r"\small" in roomy


@pytest.mark.parametrize("digits", [1, 2])
@pytest.mark.parametrize("seeds", [1, 3])
def test_the_estimated_width_is_near_that_of_tex_and_never_less(
    digits: int, seeds: int, tmp_path: Path
) -> None:
    needs_class("article")
    table = wide(digits=digits, seeds=seeds)
    estimated = fits([table], LatexStyle(width_cm=1.0))
    text = render_latex(table, LatexStyle(width_cm=1.0))
    (tabular,) = re.findall(r"\\begin\{tabular\}.*?\\end\{tabular\}", text, re.DOTALL)
    size = r"\scriptsize\setlength{\tabcolsep}{3pt}"
    body = f"\\newsavebox\\mine\\sbox\\mine{{{size}{tabular}}}\\typeout{{WIDTH \\the\\wd\\mine}}"
    log = compiled(tmp_path, document(r"\documentclass{article}", body))
    (points,) = re.findall(r"WIDTH ([0-9.]+)pt", log)
    real = float(points) * 2.54 / 72.27
    assert estimated is not None
    assert real <= estimated < 1.15 * real


def test_published_rows_are_cited_and_their_entry_stands_beside(tmp_path: Path) -> None:
    needs_class("llncs")
    table = wide()
    text = render_latex(table, LatexStyle(dropped=("delta",)))
    assert r"\textcolor{gray}{DeSAM grid points~\cite{gao2024desam}}" in text
    assert bibliography(table.rows[:-1]) == ""
    body = f"{text}\n\\bibliographystyle{{splncs04}}\\bibliography{{t}}"
    log = compiled(
        tmp_path,
        document(r"\documentclass{llncs}", body),
        bibliography=bibliography(table.rows),
    )
    assert "undefined" not in log
    assert r"\bibitem{gao2024desam}" in (tmp_path / "t.bbl").read_text(encoding="utf-8")


def test_cells_without_a_spread_are_aligned_with_those_that_have_one() -> None:
    lines = render_latex(wide()).splitlines()
    ours = next(line for line in lines if line.startswith("Baseline"))
    published = next(line for line in lines if r"\cite" in line and "&" in line)
    assert r"70.1\,$\pm$\,2.3\rlap{$^{\circ}$}\phantom{$^{\circ}$}" in ours
    assert r"82.8\phantom{\,$\pm$\,2.3}\phantom{$^{\circ}$}" in published
    assert ours.endswith(r"&  \\")  # the baseline has no difference to itself


def test_what_is_left_out_must_be_there() -> None:
    text = render_latex(wide(), LatexStyle(dropped=("HK", "delta", "spread")))
    assert "HK" not in text
    assert r"\Delta" not in text
    # left are the averages', and the published row's room for one
    assert text.count(r"\,$\pm$\,2.3") == len(ROWS) + 1
    assert r"\begin{tabular}{@{}lrrrrrr@{}}" in text
    with pytest.raises(ConfigError, match=r"--drop BIMDC: no column .*did you mean .BIDMC"):
        render_latex(wide(), LatexStyle(dropped=("BIMDC",)))


def test_the_short_caption_has_no_fingerprint_and_says_what_every_number_is() -> None:
    runs = (
        *plain(),
        *plain(seed=1, gain=0.3),
        *plain(method="desam"),
        *plain(method="desam", seed=1),
    )
    made = build_table(make_query(results(*runs), ReportSpec(columns="source", baseline="unet")))
    assert "dddddddd" in render_latex(made)
    text = render_latex(made, LatexStyle(is_short=True, label="tab:mine"))
    assert "dddddddd" not in text
    assert r"\label{tab:mine}" in text
    for words in (
        r"Dice in \% per case volume: mean over the cases, 2 seeds"
        r" ($\pm$ standard deviation over seeds).",
        "Each column is a source site: trained on it, tested on all others; Overall: mean of",
        "Protocol desam2024: last foreground slice dropped,",
        "Bold: best, underlined: second.",
    ):
        assert words in text
    assert "no test" not in text  # there are no stars to explain


def test_two_metrics_are_one_table_with_a_heading_each() -> None:
    dice = wide()
    distance = replace(wide(), measure="HD95 (mm)")
    text = render_panels((dice, distance))
    assert text.count(r"\begin{tabular}") == 1
    assert text.index(r"\multicolumn{9}{@{}l}{\textit{Dice (\%)}}") < text.index(
        r"\multicolumn{9}{@{}l}{\textit{HD95 (mm)}}"
    )
    assert text.count("A caption with") == 1  # what both captions say is said once
