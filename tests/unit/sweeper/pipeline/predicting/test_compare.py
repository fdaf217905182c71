"""`sweeper compare` shows the masks that were scored, with their numbers."""

from __future__ import annotations

import numpy as np
import pytest

from sweeper.cli import main
from sweeper.errors import DataError
from sweeper.pipeline.predicting.compare import compare
from sweeper.pipeline.predicting.predict import open_predictor
from sweeper.report.figures.contours import unpack
from sweeper.store.dataset.store import DatasetStore
from sweeper.store.ledger import Ledger
from sweeper.store.workspace import Workspace

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow's libraries


@pytest.fixture(scope="module")
def workspace(tiny_folder):
    return Workspace.open(tiny_folder / "ws")


@pytest.fixture(scope="module")
def case(workspace):
    return DatasetStore.open(workspace.datasets / "tiny.zarr").cases_of("D-UCL")[0]


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


def test_the_figure_names_the_scores_of_the_tables(workspace, case):
    made = compare(workspace, ["seed=0", "seed=1"], case.case)
    folder = next(f for f in Ledger(workspace.trainings) if f.config()["config"]["seed"] == 0)
    scores = folder.evaluation(folder.evaluations()[0])["scores"]
    dice = {s["protocol"]: 100 * s["values"]["dice"] for s in scores if s["case"] == case.case}
    title = titles(made.figure)[1].replace("\n", " ")
    assert title.startswith("desam full prostate A-ISBI seed 0")
    assert f"{dice['desam2024']:.1f} (desam2024) case Dice {dice['strict']:.1f} (strict)" in title
    assert "slice Dice" in title
    assert len(made.figure.axes) == 3 * 3 + 1
    (ious,) = [axes.images[1] for axes in made.figure.axes[7:8]]
    assert ious.get_array().shape == (9, 9)  # the prompt grid


def test_a_predicted_slice_is_the_mask_that_was_scored(workspace, case):
    model = open_predictor(workspace, ["seed=0"])
    store = DatasetStore.open(workspace.datasets / "tiny.zarr")
    folder = Ledger(workspace.trainings).folder(model.facts.train_id)
    with np.load(folder.evaluation_folder(folder.evaluations()[0]) / "masks.npz") as masks:
        scored = unpack(masks[case.case], store.image_size_px)
    for position, index in enumerate(case.shown):
        predicted = model.predict(store.image(case.start + index)[None]).mask[0]
        assert np.array_equal(predicted, scored[position])


def test_a_chosen_slice_another_grid_and_an_ensemble_are_shown(workspace, case):
    made = compare(workspace, ["seed=0 grid_size=4", "method=desam"], case.case, z=case.z[-1])
    assert made.z == case.z[-1]
    assert made.figure.axes[7].images[1].get_array().shape == (4, 4)
    _, grid, ensemble = titles(made.figure)[:3]
    assert "case not scored so" in grid.replace("\n", " ")
    assert "ensemble of 2" in ensemble.replace("\n", " ")


@pytest.mark.parametrize(
    ("cells", "options", "message"),
    [
        (["seed=0"], {"case": "Case99"}, "has no such case"),
        (["seed=0"], {"z": 99}, "--slice 99: .* has slices"),
        (["seed=7"], {}, "no finished training has seed=7"),
    ],
)
def test_what_does_not_exist_is_named(workspace, case, cells, options, message):
    with pytest.raises(DataError, match=message):
        compare(workspace, cells, **{"case": case.case, **options})


def test_the_command_writes_png_and_pdf(workspace, case, tmp_path, capsys):
    words = ["--workspace", str(workspace.root), "compare", "seed=0", "--case", case.case, "-o"]
    with pytest.raises(SystemExit) as ended:
        main([*words, str(tmp_path / "c.pdf")])
    assert ended.value.code == 0
    assert (tmp_path / "c.png").stat().st_size > 5000
    assert (tmp_path / "c.pdf").read_bytes().startswith(b"%PDF")
    for path in (tmp_path / "c.gif", tmp_path / "nowhere" / "c.png"):
        with pytest.raises(SystemExit) as ended:
            main([*words, str(path)])
        assert ended.value.code == 2
    assert "expected a .png or .pdf file" in capsys.readouterr().err
