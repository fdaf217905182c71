"""A dataset's name and a path to one are told apart by one rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sweeper.errors import StoreError
from sweeper.store.dataset.place import dataset_path, find_dataset, looks_like_a_path
from sweeper.store.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path


def store(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "zarr.json").write_text("{}")
    return path


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return Workspace(tmp_path / "ws")


def test_the_workspaces_name_wins_over_a_folder_and_over_a_store_here(
    workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "here" / "prostate").mkdir()
    kept = store(workspace.datasets / "prostate.zarr")
    assert dataset_path(workspace, "prostate") == kept
    here = store(tmp_path / "here" / "abdomen")
    assert dataset_path(workspace, "abdomen") == here
    kept = store(workspace.datasets / "abdomen.zarr")
    assert dataset_path(workspace, "abdomen") == kept
    assert dataset_path(workspace, "./abdomen") == here


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a/b", "here/a/b"),
        ("prostate.zarr", "here/prostate.zarr"),
        ("../x", "here/../x"),
        ("~/prostate", "home/prostate"),
    ],
)
def test_what_looks_like_a_path_is_one(
    workspace: Workspace, tmp_path: Path, text: str, where: str
) -> None:
    store(workspace.datasets / "prostate.zarr")
    assert looks_like_a_path(text)
    assert dataset_path(workspace, text) == tmp_path / where
    assert find_dataset(workspace, text) is None


def test_a_folder_that_is_not_a_store_is_named_with_what_was_looked_for(
    workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "here" / "raw").mkdir()
    store(workspace.datasets / "mine.zarr")
    with pytest.raises(StoreError) as caught:
        dataset_path(workspace, "raw")
    assert f"{workspace.datasets / 'raw.zarr'}" in str(caught.value)
    assert f"{tmp_path / 'here' / 'raw'}" in str(caught.value)
    assert "imported are mine. " in str(caught.value)
