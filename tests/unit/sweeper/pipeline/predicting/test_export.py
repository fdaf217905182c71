"""An exported model is one folder: the same masks, no pickle, no path, no patient."""

from __future__ import annotations

import json
import pickle
import shutil

import numpy as np
import pytest
import tiny_workspace as tiny
import torch

from sweeper.cli import main
from sweeper.errors import DataError, StoreError, WeightsError
from sweeper.pipeline.predicting.export import export
from sweeper.pipeline.predicting.predict import open_predictor
from sweeper.predict.predictor import Predictor
from sweeper.predict.scan import read_scan
from sweeper.store.dataset.store import DatasetStore
from sweeper.store.workspace import Workspace

DESAM, UNET = ["method=desam", "seed=0"], ["method=unet"]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    before = torch.get_num_threads()
    trials = [{"method": tiny.DESAM}, {"method": tiny.DESAM, "seed": 1}, {"method": tiny.UNET}]
    yield tiny.make_workspace(tmp_path_factory.mktemp("export"), trials, epochs=1)
    torch.set_num_threads(before)


@pytest.fixture
def elsewhere(tmp_path):
    """A workspace on another machine: empty."""
    return Workspace.open(tmp_path / "elsewhere")


@pytest.mark.parametrize("cells", [DESAM, UNET], ids=["desam", "unet"])
def test_a_loaded_model_gives_predicts_masks_in_an_empty_workspace(
    workspace, elsewhere, tmp_path, cells
):
    exported = export(workspace, cells, tmp_path / "model")
    here = open_predictor(workspace, cells)
    there = open_predictor(elsewhere, [str(exported.folder)])
    image = workspace.root.parent / "src" / "UCL" / "Case01.nii.gz"
    scan = read_scan(image, here.settings_for(None), 1)
    assert there.settings_for(None) == here.settings_for(None)
    mine, theirs = here.predict(scan.pixels), there.predict(scan.pixels)
    assert np.array_equal(mine.mask, theirs.mask)
    assert np.array_equal(mine.predicted_iou, theirs.predicted_iou, equal_nan=True)


def test_no_file_is_a_pickle_and_none_names_a_place_or_a_patient(workspace, tmp_path):
    folder = export(workspace, DESAM, tmp_path / "model").folder
    names = sorted(file.name for file in folder.iterdir())
    assert names == ["LICENSE", "README.md", "model.json", "scores.json", "weights.safetensors"]
    cases = {case.case for case in DatasetStore.open(workspace.datasets / "tiny.zarr").cases}
    for file in folder.iterdir():
        content = file.read_bytes()
        with pytest.raises((pickle.UnpicklingError, ValueError, KeyError, IndexError, EOFError)):
            pickle.loads(content)
        assert str(workspace.root.parent).encode() not in content
        assert not any(case.encode() in content for case in cases)


def test_the_card_states_the_data_the_scores_and_the_limits(workspace, tmp_path):
    folder = export(workspace, DESAM, tmp_path / "model").folder
    card = (folder / "README.md").read_text()
    for words in (
        "# desam full prostate A-ISBI seed 0", "Segments **prostate**", "3 training cases",
        "| D-UCL | 4 |", "| A-ISBI (validation) | 1 |", "not a medical device", "arXiv 2306.00499",
        "`vit_tiny`", "made from a seed",
    ):  # fmt: skip
        assert words in card
    means = json.loads((folder / "scores.json").read_text())
    dice = means["strict"]["D-UCL"]["dice"]
    assert f"{100 * dice:.2f}" in card


def test_several_folders_are_an_ensemble(workspace, elsewhere, tmp_path):
    folders = [
        str(export(workspace, ["method=desam", f"seed={seed}"], tmp_path / f"m{seed}").folder)
        for seed in (0, 1)
    ]
    ensemble = open_predictor(elsewhere, folders)
    assert isinstance(ensemble, Predictor)
    assert ensemble.name.startswith("ensemble of 2: desam full prostate A-ISBI seed 0; ")


def test_evaluation_settings_can_be_changed_when_it_is_opened(workspace, elsewhere, tmp_path):
    folder = str(export(workspace, [*DESAM, "grid_size=3"], tmp_path / "model").folder)
    assert open_predictor(elsewhere, [folder]).facts.config.evaluation.grid_size == 3
    changed = open_predictor(elsewhere, [folder, "grid_size=4"])
    assert changed.facts.config.evaluation.grid_size == 4
    with pytest.raises(DataError, match="grid_size=x is not an evaluation setting"):
        open_predictor(elsewhere, [folder, "grid_size=x"])


def test_a_folder_with_other_files_is_not_overwritten(workspace, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("years of work")
    with pytest.raises(DataError, match="is no exported model; choose another folder"):
        export(workspace, DESAM, tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter1.tex").read_text() == "years of work"
    export(workspace, DESAM, tmp_path / "model")
    assert export(workspace, UNET, tmp_path / "model").facts.config.method.name == "unet"


def test_several_trainings_are_refused(workspace, tmp_path):
    with pytest.raises(DataError, match="names 2 trainings"):
        export(workspace, ["method=desam"], tmp_path / "model")


@pytest.mark.parametrize(
    ("file", "change", "error"),
    [
        ("weights.safetensors", lambda raw: raw[:100], StoreError),
        ("model.json", lambda raw: raw[:100], StoreError),
        ("model.json", lambda raw: raw.replace(b'"version": 1', b'"version": 9'), StoreError),
        ("model.json", lambda raw: raw.replace(b'"9703fd64', b'"00000000'), WeightsError),
    ],
    ids=["truncated weights", "truncated facts", "later format", "another encoder"],
)
def test_a_damaged_folder_is_refused(workspace, elsewhere, tmp_path, file, change, error):
    folder = export(workspace, DESAM, tmp_path / "model").folder
    before = (folder / file).read_bytes()
    (folder / file).write_bytes(change(before))
    assert (folder / file).read_bytes() != before
    with pytest.raises(error, match=str(file.split(".")[0]) if error is StoreError else "encoder"):
        open_predictor(elsewhere, [str(folder)])


def test_the_command(workspace, tmp_path, capsys):
    output = tmp_path / "model"
    words = ["export", "method=desam source=A-ISBI", "seed=0", "-o", str(output)]
    with pytest.raises(SystemExit) as ended:
        main(["--workspace", str(workspace.root), *words])
    assert ended.value.code == 0
    assert "exported desam full prostate A-ISBI seed 0 (" in capsys.readouterr().out
    shutil.rmtree(output)
