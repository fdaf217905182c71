"""Finished trainings of another machine are taken over if they are what a run here would make."""

from __future__ import annotations

import re
import shutil

import pytest
import tiny_workspace as tiny
import torch

from sweeper.cli import main
from sweeper.errors import WorkspaceError
from sweeper.pipeline.merging import merge
from sweeper.plan.identity import short_hash
from sweeper.sealed import seal, unseal
from sweeper.store.ledger import Ledger
from sweeper.store.workspace import Workspace


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    before = torch.get_num_threads()
    trials = [{"method": tiny.DESAM}, {"method": tiny.UNET}]
    yield tiny.make_workspace(tmp_path_factory.mktemp("other"), trials, epochs=1).root
    torch.set_num_threads(before)


@pytest.fixture
def here(other, tmp_path):
    """A workspace with the same data and embeddings, but no training."""
    for name in ("datasets", "embeddings"):
        shutil.copytree(other / name, tmp_path / "here" / name)
    return Workspace.open(tmp_path / "here")


def ids(root):
    return sorted(path.name for path in (root / "trainings").iterdir())


def rewrite(folder, change):
    """The training with a changed identity, and the id that belongs to it."""
    path = folder / "config.json"
    values = unseal(path.read_text())
    change(values["identity"])
    path.write_text(seal(values))
    return folder.rename(folder.with_name(short_hash(values["identity"]))).name


def test_trainings_are_copied_whole_and_a_second_merge_does_nothing(other, here):
    (other / "trainings" / ids(other)[0] / "last.pt").write_bytes(b"for a resume")
    outcome = merge(here, other)
    assert sorted(outcome.taken) == ids(other) == ids(here.root)
    for folder in Ledger(here.trainings):
        assert folder.fit() is not None
        assert (
            folder.evaluations()
            == Ledger(other / "trainings").folder(folder.train_id).evaluations()
        )
        assert not (folder.path / "last.pt").exists()
    again = merge(here, other)
    assert (again.taken, sorted(again.present)) == ((), ids(other))


def test_a_dry_run_copies_nothing(other, here):
    assert len(merge(here, other, is_dry=True).taken) == 2
    assert not here.trainings.exists()


def test_only_missing_scorings_are_added_to_a_training_that_is_here(other, here):
    merge(here, other)
    folder = next(iter(Ledger(here.trainings)))
    (eval_id,) = folder.evaluations()
    shutil.rmtree(folder.evaluation_folder(eval_id))
    (folder.path / "log.txt").write_text("ours")
    assert merge(here, other).scored == (folder.train_id,)
    assert folder.has_evaluation(eval_id)
    assert (folder.path / "log.txt").read_text() == "ours"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda identity: identity.update(code="desam-0"), "trained by code desam-0, this version"),
        (lambda identity: identity.update(dataset="f" * 16), r"its dataset tiny \(ffff.* not here"),
        (lambda identity: identity.update(embedding="e" * 16), "it read embeddings eeee.*, and"),
    ],
    ids=["code", "data", "encoder"],
)
def test_what_a_run_here_would_not_make_is_refused(other, here, tmp_path, change, reason):
    copy = tmp_path / "copy"
    shutil.copytree(other / "trainings", copy / "trainings")
    folders = [f for f in Ledger(copy / "trainings") if "desam" in f.config()["name"]]
    train_id = rewrite(folders[0].path, change)
    outcome = merge(here, copy)
    assert len(outcome.taken) == 1
    assert re.search(reason, outcome.refused[train_id])


def test_changed_damaged_and_unfinished_trainings_are_refused(other, here, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(other / "trainings", copy / "trainings")
    first, second = Ledger(copy / "trainings")
    first.path.rename(first.path.with_name("0" * 12))
    (second.path / "best.pt").write_bytes(b"half")
    (copy / "trainings" / ("1" * 12)).mkdir()
    refused = merge(here, copy).refused
    assert "does not match its id" in refused["0" * 12]
    assert "damaged" in refused[second.train_id]
    assert refused["1" * 12] == "it is not finished"
    assert not here.trainings.exists()


def test_the_command_lists_what_was_refused(other, here, tmp_path, capsys):
    (tmp_path / "copy" / "trainings" / "abc").mkdir(parents=True)
    for place in (other, tmp_path / "copy"):
        with pytest.raises(SystemExit) as ended:
            main(["--workspace", str(here.root), "merge", str(place)])
        assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "2 trainings taken over from" in text
    assert "not taken: abc: it is not finished" in text


def test_a_folder_that_is_no_other_workspace_is_refused(other, tmp_path):
    with pytest.raises(WorkspaceError, match="has no folder trainings"):
        merge(Workspace.open(tmp_path), tmp_path)
    with pytest.raises(WorkspaceError, match="is this workspace"):
        merge(Workspace.open(other), other)
