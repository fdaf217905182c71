"""The Python API gives what the command line gives; its page is read and run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tiny_workspace as tiny

import sweeper
from sweeper.cli import main
from sweeper.errors import ConfigError, DataError
from sweeper.pipeline.predicting.export import export

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow's libraries

PAGE = Path(__file__).parents[3] / "docs" / "python.md"


@pytest.fixture
def sweep(tiny_sweep):
    return tiny_sweep


@pytest.fixture
def inside(tiny_folder, monkeypatch):
    monkeypatch.chdir(tiny_folder)
    monkeypatch.setenv("SWEEPER_WORKSPACE", str(tiny_folder / "ws"))
    return tiny_folder


def test_a_table_has_values_by_name_and_says_what_they_are(sweep):
    table = sweep.table()
    assert sweep.failures == ()
    assert table.index == ("desam grid_points",)
    assert table.columns == ("A-ISBI", "Overall")
    assert table["desam grid_points", "Overall"] == table.values[0][-1]
    assert "tested on D-UCL" in table.caption
    assert "<table" in table._repr_html_()
    assert "tested on D-UCL" in table._repr_html_()
    assert f"{table['desam grid_points', 'Overall']:.2f}" in table.render("markdown")
    with pytest.raises(KeyError, match="'unet'"):
        table["unet", "Overall"]


def test_the_table_is_that_of_the_command_line(sweep, inside, capsys):
    with pytest.raises(SystemExit):
        main(["report", "tiny", "--format", "markdown"])
    opened = sweeper.open_sweep("tiny")
    assert (
        opened.table().render("markdown")
        == capsys.readouterr().out
        == sweep.table().render("markdown")
    )


def test_rows_average_to_the_table(sweep):
    rows = [
        row
        for row in sweep.rows()
        if (row["protocol"], row["metric"]) == ("strict", "dice") and row["target"] == "D-UCL"
    ]
    assert len(rows) == 2 * 4  # seeds, cases
    mean = 100 * np.mean([row["value"] for row in rows])
    assert sweep.table(protocol="strict")["desam grid_points", "A-ISBI"] == pytest.approx(mean)


def test_a_wrong_query_is_an_error_in_one_line(sweep):
    with pytest.raises(ConfigError, match="protocol"):
        sweep.table(protocol="lenient")


def test_a_cells_model_predicts_files_and_arrays_alike(sweep, inside):
    model = sweep.cell(method="desam", source="A-ISBI", seed=0)
    assert repr(model) == "<Model desam full prostate A-ISBI seed 0>"
    of_file = model.predict("scan.nii.gz")
    array = tiny.scan(11, 180.0)[0]
    assert np.array_equal(array.transpose(2, 1, 0), np.asanyarray(nib.load("scan.nii.gz").dataobj))
    of_array = model.predict(array, spacing_mm=(3.0, 1.0, 1.0))
    assert np.array_equal(of_file.mask, of_array.mask)
    assert of_file.volume_ml == of_array.volume_ml == of_file.mask.sum() * 3.0 / 1000
    assert model.predict(array[2]).mask.shape == (1, *array.shape[1:])
    assert of_file._repr_png_().startswith(b"\x89PNG")
    saved = of_file.save(inside / "src")
    assert np.array_equal(np.asanyarray(nib.load(saved).dataobj).T, of_file.mask)


def test_a_cell_of_another_sweep_is_not_found(sweep):
    with pytest.raises(DataError, match="no finished training has method=unet"):
        sweep.cell(method="unet")
    assert "ensemble of 2" in repr(sweep.cell(method="desam"))


@pytest.mark.parametrize(
    "image", [np.zeros(3), np.arange(512.0).reshape(2, 4, 8, 8), np.full((8, 8), np.nan)]
)
def test_an_impossible_image_is_refused(sweep, image):
    with pytest.raises(DataError, match=r"array: |image has shape"):
        sweep.cell(method="desam", seed=0).predict(image)


def test_an_exported_folder_is_loaded(sweep, inside, tmp_path):
    exported = export(sweep.workspace, ["method=desam", "seed=1"], tmp_path / "model")
    loaded = sweeper.load_model(exported.folder, workspace=tmp_path / "empty")
    here = sweep.cell(method="desam", seed=1)
    assert np.array_equal(loaded.predict("scan.nii.gz").mask, here.predict("scan.nii.gz").mask)


def test_curves_show_every_training_once(sweep):
    figure = sweep.curves()
    loss, dice = figure.axes[:2]
    assert loss.get_title() == "A-ISBI"
    drawn = [line for line in dice.lines if len(line.get_xdata())]
    assert [len(line.get_xdata()) for line in drawn] == [3, 3]  # two seeds, three epochs
    assert "Dice" in dice.get_ylabel()


def test_the_curves_command_writes_png_and_pdf(sweep, inside, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["curves", "tiny.yaml", "-o", str(tmp_path / "c.pdf")])
    assert ended.value.code == 0
    assert (tmp_path / "c.png").stat().st_size > 5000
    assert (tmp_path / "c.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(SystemExit) as ended:
        main(["curves", "tiny", "-o", str(tmp_path / "c.gif")])
    assert ended.value.code == 2
    assert "expected a .png or .pdf file" in capsys.readouterr().err


def test_the_pages_example_runs(sweep, inside, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    exec(compile(example, str(PAGE), "exec"), {})
    assert "tested on D-UCL" in capsys.readouterr().out
    assert (inside / "curves.png").is_file()


def test_importing_sweeper_imports_nothing_heavy():
    code = "import sys, sweeper; print(sweeper.__version__, *{'torch', 'ray'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [sweeper.__version__]
    assert set(sweeper.__all__) <= set(dir(sweeper))
    with pytest.raises(AttributeError, match="no attribute 'trane'"):
        _ = sweeper.trane


@pytest.mark.slow
def test_a_script_without_a_main_guard_ends_with_the_remedy(tmp_path):
    space = tmp_path / "space.yaml"
    space.write_text("name: x\ntrial: {source: A-ISBI, method: {name: unet}}")
    script = tmp_path / "script.py"
    script.write_text(
        f"import sweeper\nsweeper.run({str(space)!r}, workspace={str(tmp_path / 'ws')!r})\n"
    )
    command = [sys.executable, str(script)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 1
    assert 'put the call below if __name__ == "__main__":' in ended.stderr
