"""docs/python.ipynb is executed cell by cell, on tiny data instead of its parameters."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
import tiny_workspace as tiny
import torch

PAGE = Path(__file__).parents[2] / "docs" / "python.ipynb"
SPACE = """
name: tiny
trial:
  source: A-ISBI
  method: {name: desam}
  training: {batch_size: 4}
  evaluation: {iou_threshold: -100.0, min_region_px: 100}
report: {rows: method, columns: source}
"""

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow's libraries


@pytest.fixture
def parameters(tmp_path, monkeypatch):
    """What the cell tagged `parameters` is replaced with."""
    before = torch.get_num_threads()
    workspace = tiny.make_workspace(tmp_path, [{"method": tiny.DESAM}])
    (tmp_path / "tiny.yaml").write_text(SPACE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEPER_WORKSPACE", str(workspace.root))
    yield {
        "SPACE": "tiny.yaml",
        "SETTINGS": ["training.epochs=3"],
        "DATASET": "tiny",
        "IMAGE": str(tmp_path / "src" / "UCL" / "Case01.nii.gz"),
    }
    torch.set_num_threads(before)


def cells():
    notebook = json.loads(PAGE.read_text())
    assert notebook["nbformat"] == 4
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def shown(source, names):
    """Run a cell; the value of its last expression, which a notebook shows."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, str(PAGE), "exec"), names)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), str(PAGE), "eval"), names)


def test_every_cell_runs_and_shows_a_table_curves_and_an_overlay(parameters):
    names, values = {}, []
    for cell in cells():
        if "parameters" in cell["metadata"].get("tags", ()):
            exec(cell["source"], names)
            assert names.keys() - {"__builtins__"} == parameters.keys()
            names.update(parameters)
        else:
            values.append(shown(cell["source"], names))
    assert any("<table" in value._repr_html_() for value in values if hasattr(value, "report"))
    assert any(value.axes for value in values if hasattr(value, "savefig"))
    pictures = [value._repr_png_() for value in values if hasattr(value, "_repr_png_")]
    assert [picture[:4] for picture in pictures] == [b"\x89PNG"]


def test_the_stored_notebook_shows_them_too():
    kinds = {
        kind for cell in cells() for output in cell["outputs"] for kind in output.get("data", ())
    }
    assert {"text/html", "image/png"} <= kinds
    assert not any("error" in output["output_type"] for c in cells() for output in c["outputs"])
    assert str(Path.cwd()) not in PAGE.read_text()
