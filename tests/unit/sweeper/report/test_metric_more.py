"""A metric that another package brings: one entry, one function, and everything prints it right."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parents[3] / "support"

PACKAGE = """
import math
import numpy as np
from desam_model.scoring.metric_table import Metric

def sensitivity(prediction, reference, spacing_mm):
    total = np.count_nonzero(reference)
    return float(np.count_nonzero(prediction & reference) / total) if total else math.nan

METRIC = Metric(
    name="sensitivity", symbol="Sens.", title="Sensitivity", unit="%", scale=100.0, digits=1,
    is_higher_better=True, undefined="the reference is empty", axis=(0.0, 100.0),
    measure="more_metrics:sensitivity",
)
"""
BUILT_IN = ("dice", "hd95_mm", "asd_mm", "hd95_monai_mm", "asd_monai_mm")
SCRIPT = """
import json
from dataclasses import replace
import numpy as np
from hand_made import plain, results
from desam_model.scoring.protocol_scores import score_case
from desam_model.scoring.protocol_table import STRICT
from sweeper.config.report import ReportSpec
from sweeper.report.build import build_table
from sweeper.report.figures.plots import box_plot, heat_map
from sweeper.report.formats.long import render_long
from sweeper.report.formats.registry import RENDERERS
from sweeper.report.query import make_query

def with_sensitivity(run, gain):
    found = [s._replace(values={**s.values, "sensitivity": s.values["dice"] + gain})
             for s in run.scores]
    return replace(run, scores=tuple(found))

low = [with_sensitivity(run, 0.0) for run in plain(method="low")]
high = [with_sensitivity(run, 0.123) for run in plain(method="high")]
old = plain(method="old")  # whose rows were written before there was the metric
query = make_query(results(*low, *high, *old), ReportSpec(columns="source", metric="sensitivity"))
table = build_table(query)
reference = np.zeros((2, 64, 64), dtype=bool)
reference[:, 20:40, 20:40] = True
scored = score_case(
    reference & (np.arange(64) < 25), reference, case="c", domain="A", structure="s",
    spacing_mm=(1.0, 1.0, 1.0), protocol=STRICT,
)
axes, matrix = box_plot(query).axes[0], heat_map(query)
print(json.dumps({
    "values": dict(scored.values),
    "markdown": RENDERERS["markdown"](table),
    "csv": RENDERERS["csv"](table),
    "long": render_long(query),
    "axis": axes.get_ylabel(),
    "limits": axes.get_ylim(),
    "colours": [matrix.axes[0].images[0].norm.vmax, matrix.axes[-1].get_ylabel()],
    "draft": list(table.draft_reasons),
}))
"""


CLI = "from sweeper.cli import main; main()"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH with the package as pip would have installed it."""
    (tmp_path / "more_metrics.py").write_text(PACKAGE)
    info = tmp_path / "more_metrics-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: more-metrics\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sweeper.metrics]\nsensitivity = more_metrics:METRIC\n")
    return tmp_path


def python(package: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": f"{package}{os.pathsep}{SUPPORT}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_one_entry_and_one_function_are_a_metric_everywhere(package: Path) -> None:
    done = python(package, "-c", SCRIPT)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert list(found["values"]) == [*BUILT_IN, "sensitivity"]
    assert found["values"]["sensitivity"] == pytest.approx(0.25)
    low, high, old = [line for line in found["markdown"].splitlines() if line.startswith("|")][2:]
    # Dice of `plain()` is 50, 50, 34 in percent
    assert low.startswith("| low | <u>50.0</u> | <u>50.0</u> | <u>34.0</u> |")
    assert high.startswith("| high | **62.3** | **62.3** | **46.3** |")
    assert old.startswith("| old | – (0/1 seeds) | – (0/1 seeds) |")
    assert "Sensitivity in % per case volume. Each column is a source site" in found["markdown"]
    assert found["draft"] == ["3 of 9 scorings missing (3 scored without Sens.)"]
    lines = [line for line in found["csv"].splitlines() if not line.startswith("#")]
    wide = list(csv.DictReader(lines))
    assert [float(row["A"]) for row in wide[:2]] == pytest.approx([50.0, 62.3])
    assert wide[2]["A"] == ""
    long = [
        row
        for row in csv.DictReader(io.StringIO(found["long"]))
        if row["metric"] == "sensitivity" and row["source"] == "A" and row["case"] == "c1"
    ]
    assert {(row["row"], row["value"], row["status"]) for row in long if row["row"] == "old"} == {
        ("old", "", "not measured")
    }
    assert {row["status"] for row in long if row["row"] == "low"} == {"ok"}
    assert found["axis"] == "Sens. (%)"
    low, high = found["limits"]  # around the data, inside the metric's own limits
    assert 0.0 <= low < 50.0
    assert 62.3 < high <= 100.0
    assert found["colours"] == [100.0, "Sens. (%)"]


def test_the_command_line_and_the_schema_know_it(package: Path) -> None:
    asked = python(package, "-c", CLI, "report", "--help")
    assert "|".join([*BUILT_IN, "sensitivity"]) in asked.stdout, asked.stderr
    schema = json.loads(python(package, "-c", CLI, "schema").stdout)
    assert json.dumps([*BUILT_IN, "sensitivity"]) in json.dumps(schema)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("dice = more_metrics:METRIC", "must be a Metric with that name"),
        ("asd_mm = more_metrics:OURS", "the name is already taken"),
        ("sensitivity = more_metrics:NONE", "cannot be loaded"),
        ("sensitivity = lost_metrics:METRIC", "cannot be loaded"),
    ],
)
def test_a_metric_that_cannot_be_used_is_refused_by_name(
    package: Path, line: str, problem: str
) -> None:
    (package / "more_metrics.py").write_text(
        f"{PACKAGE}\nfrom dataclasses import replace\nOURS = replace(METRIC, name='asd_mm')\n"
    )
    file = package / "more_metrics-1.0.dist-info" / "entry_points.txt"
    file.write_text(f"[sweeper.metrics]\n{line}\n")
    done = python(package, "-c", CLI, "report", "--help")
    name, _, value = line.partition(" = ")
    assert done.returncode == 2
    assert done.stderr.startswith(f"sweeper: sweeper.metrics entry '{name}' ({value})")
    assert problem in done.stderr
    assert len(done.stderr.splitlines()) == 1
