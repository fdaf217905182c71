"""What a user may call a model, and what is said about words that call none."""

from __future__ import annotations

import pytest

from sweeper.errors import DataError
from sweeper.predict.cells import MODEL_FILE, find_models, split_words
from sweeper.store.ledger import Ledger
from sweeper.store.workspace import Workspace


def training(workspace, train_id, *, finished=True, **changes):
    folder = Ledger(workspace.trainings).folder(train_id)
    config = {
        "source": "A",
        "seed": 0,
        "method": {"name": "desam", "ablation": "full"},
        "training": {"lr": None},
        "evaluation": {"grid_size": 9},
        **changes,
    }
    folder.write("config", {"config": config, "identity": {}, "name": train_id})
    if finished:
        folder.write("fit", {})


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace.open(tmp_path / "ws")
    training(workspace, "a00000000000")
    training(workspace, "a00000000001", seed=1)
    training(workspace, "a00000000002", seed=2, finished=False)
    training(workspace, "b00000000000", source="B")
    training(workspace, "c00000000000", method={"name": "unet"})
    return workspace


def ids(named):
    return [folder.train_id for folder in named.trainings]


def test_words_before_the_images_name_the_models(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / MODEL_FILE).write_text("{}")
    model = str(tmp_path / "model")
    words = ["a00000000000", "method=desam source=A", "seed=0", model, "scan.nii", "x=1.nii"]
    cells, images = split_words(words)
    assert cells == ["a00000000000", "method=desam", "source=A", "seed=0", model]
    assert images == ["scan.nii", "x=1.nii"]


def test_conditions_that_leave_seeds_open_are_an_ensemble_of_finished_trainings(workspace):
    named = find_models(workspace, ["method=desam", "source=A"])
    assert ids(named) == ["a00000000000", "a00000000001"]
    assert ids(find_models(workspace, ["ablation=full", "source=A", "seed=1"])) == ["a00000000001"]


def test_train_ids_and_evaluation_settings_may_be_mixed(workspace):
    named = find_models(workspace, ["a00000000001", "b00000000000", "grid_size=5"])
    assert ids(named) == ["a00000000001", "b00000000000"]
    assert named.evaluation == {"grid_size": 5}


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["source=Z"], "no finished training has source=Z; .* there are A, B"),
        (["method=desm"], r"no finished training has method=desm \(did you mean 'desam'\?\)"),
        (["sed=1"], r"'sed' is not a key of any training \(did you mean 'seed'\?\)"),
        (["seed=0"], r"3 trainings fulfil .*\(method: desam, unet; source: A, B\)"),
        (["0123456789ab"], "'0123456789ab' is not a model of"),
        ([], "no model is named"),
    ],
)
def test_a_wrong_name_says_what_there_is(workspace, cells, message):
    with pytest.raises(DataError, match=message):
        find_models(workspace, cells)


def test_equal_settings_on_other_data_are_told_apart_by_train_id(workspace):
    training(workspace, "a0000000000f")
    with pytest.raises(DataError, match=r"a00000000000, .*a0000000000f have the same settings"):
        find_models(workspace, ["method=desam", "source=A"])
