from __future__ import annotations

import csv
import io
import json
import math
import re
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hand_made import plain, results, run

from desam_model.scoring.metric_table import metrics
from sweeper.config.report import ReportSpec
from sweeper.records import TrialStatus
from sweeper.report.build import build_table, build_tables
from sweeper.report.costs import cost_table
from sweeper.report.formats.latex import latex_document, render_latex
from sweeper.report.formats.long import left_out_of_ranking, render_challenger, render_long
from sweeper.report.formats.plain_table import PLAIN_RENDERERS, render_plain
from sweeper.report.formats.registry import RENDERERS, join
from sweeper.report.formats.terminal import render_terminal
from sweeper.report.query import make_query
from sweeper.report.statistics.comparison import table_statistics
from sweeper.report.statistics.table import statistics_table

if TYPE_CHECKING:
    from sweeper.tracking.tracker import TrackedRun


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_long_csv_holds_every_number_and_every_scoring_without_one() -> None:
    first, *rest = plain()
    failed = replace(first, status=TrialStatus.FAILED, scores=())
    found = lines(render_long(make_query(results(failed, *rest), ReportSpec(columns="source"))))
    assert len(found) == 1 + 2 * (6 * 2 * len(metrics()))
    assert [line["status"] for line in found if line["source"] == "A"] == ["failed"]
    values = {
        float(line["value"])
        for line in found
        if (line["source"], line["case"], line["protocol"], line["metric"])
        == ("B", "a1", "strict", "dice")
    }
    assert values == {0.5 - 0.1}


def test_undefined_numbers_keep_their_line() -> None:
    undefined = run("unet", "A", {"B": (math.nan, 0.5, 0.5), "C": (0.5,)})
    query = make_query(results(undefined), ReportSpec(columns="source"))
    assert sum(line["status"] == "undefined" for line in lines(render_long(query))) == 6
    assert [x["value"] for x in lines(render_challenger(query)) if x["case"][2:4] == "b1"] == ["NA"]
    cell = build_table(query).rows[0].cells[0]
    assert math.isnan(cell.value)
    assert cell.n_undefined == 1
    skipped = build_table(
        make_query(results(undefined), ReportSpec(columns="source", undefined="skip"))
    )
    assert skipped.rows[0].cells[0].value == pytest.approx(50)
    assert "(1 undef.)" in render_terminal(skipped)


def test_challengers_layout_has_one_line_a_task_algorithm_and_case() -> None:
    query = make_query(
        results(*plain(seed=0), *plain(seed=1, gain=0.4)), ReportSpec(columns="source")
    )
    found = lines(render_challenger(query))
    assert list(found[0]) == ["task", "algorithm", "case", "value"]
    assert len(found) == 4 + 3 + 5
    c1 = [line for line in found if line["task"] == "A" and "c1" in line["case"]]
    assert float(c1[0]["value"]) == pytest.approx(40)


def test_challengers_layout_has_finished_competitors_only_and_the_others_are_named() -> None:
    bound = run(
        "upper_bound",
        "all",
        {"A": (0.9, 0.9), "B": (0.9,) * 3, "C": (0.9,)},
        params={"method.variant": "all_sites", "fold": "0"},
    )
    half = plain(method="half")
    query = make_query(
        results(*plain(method="whole"), *half[:2], bound, missing=half[2:]),
        ReportSpec(columns="source"),
    )
    assert {line["algorithm"] for line in lines(render_challenger(query))} == {"whole"}
    assert left_out_of_ranking(query) == (
        "half: incomplete",
        "upper_bound all_sites: an upper bound is not a competitor",
    )


def test_several_tables_are_one_json_document() -> None:
    query = make_query(
        results(*plain(method="a"), *plain(method="b")), ReportSpec(columns="matrix")
    )
    texts = [RENDERERS["json"](table) for table in build_tables(query)]
    texts.append(PLAIN_RENDERERS["json"](cost_table(query, {})))
    assert [one["name"] for one in json.loads(join("json", texts))] == [
        "golden-a",
        "golden-b",
        "golden-costs",
    ]
    assert json.loads(join("json", texts[:1]))["name"] == "golden-a"


def test_costs_say_a_dash_where_nothing_was_measured() -> None:
    measured = run(
        "desam",
        "A",
        {"B": (0.5,) * 3},
        summary={"seconds": 90.0, "trainable_parameters": 2.5e6},
        tags={"device": "NVIDIA GeForce RTX 3060"},
    )
    table = cost_table(make_query(results(measured), ReportSpec(columns="source")), {})
    assert table.rows == (("desam", "1", "2.50", "–", "90.0 s", "–"),)
    assert "0.03 GPU-hours (NVIDIA GeForce RTX 3060)" in table.notes[0]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_latex_compiles(tmp_path) -> None:
    special = tuple(
        replace(r, tags={**r.tags, "dataset": "50%_of & all #1 {x}~^\\ $"})
        for r in plain(method="a_b", gain=0.1)
    )
    query = make_query(
        results(*plain(), *special), ReportSpec(columns="source", title="T < U", baseline="unet")
    )
    sides = [statistics_table(table_statistics(query), "t", 2), cost_table(query, {})]
    text = render_latex(build_table(query)) + "".join(map(PLAIN_RENDERERS["latex"], sides))
    (tmp_path / "t.tex").write_text(latex_document(text), encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "t.pdf").stat().st_size > 10_000


def test_tables_of_words_carry_their_name_as_label_in_latex() -> None:
    query = make_query(results(*plain()), ReportSpec(columns="source"))
    side = cost_table(query, {})
    assert f"\\label{{tab:{side.name}}}" in PLAIN_RENDERERS["latex"](side)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_narrow_terminal_loses_no_digit_no_star_and_no_letter_of_a_name(width: int) -> None:
    def trained(method: str, gain: float) -> tuple[TrackedRun, ...]:
        return tuple(
            run(
                method,
                source,
                {t: tuple(0.3 + gain * (i + 1) for i in range(9)) for t in "ABC"},
                seed=seed,
            )
            for source in "ABC"
            for seed in range(3)
        )

    runs = (*trained("a_method_with_a_long_name", 0.0), *trained("another", 0.03))
    spec = ReportSpec(columns="structure", baseline="a_method")
    query = make_query(results(*runs), spec)
    made = build_table(query)
    side = statistics_table(table_statistics(query), "t", 2)
    text = render_terminal(made, width=width)
    assert "…" not in text
    # every number stands in one line, with its stars and its spread
    assert len(re.findall(r"\b30\.00 ± \d\.\d\d\b", text)) == 7
    assert len(re.findall(r"\b45\.00\*{2,3} ± \d\.\d\d\b", text)) == 7
    assert "a_method_with_a_long_name" in text
    # the longest name beside the longest number has 41 columns
    assert max(map(len, text.splitlines())) <= max(width, 41)
    assert "…" not in render_plain(side, width=width)


def test_in_a_pipe_nothing_is_cut_and_every_line_of_the_caption_is_one() -> None:
    made = build_table(make_query(results(*plain()), ReportSpec(columns="structure")))
    text = render_terminal(made)
    assert "…" not in text
    assert made.caption[1] in text.splitlines()
