"""Operations on a finished embedding store: copies, conversion, comparison and repair."""

from __future__ import annotations

import pytest
from fake_dataset import write_small_dataset

from sweeper.errors import StoreError
from sweeper.pipeline.embed import ensure_embeddings
from sweeper.pipeline.embeddings import (
    convert_in_workspace,
    dataset_of,
    largest_difference,
    pull_store,
    push_store,
    repair_store,
)
from sweeper.store.embeddings.inventory import damaged_slices
from sweeper.store.embeddings.store import EmbeddingStore
from sweeper.store.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace.open(tmp_path / "ws")


@pytest.fixture
def dataset(workspace):
    return write_small_dataset(workspace.datasets / "small.zarr")


@pytest.fixture
def store(workspace, dataset):
    return ensure_embeddings(workspace, dataset, "vit_tiny")


def test_a_pushed_store_is_pulled_to_the_path_that_a_run_expects(
    workspace, dataset, store, tmp_path
):
    url = (tmp_path / "remote").as_uri()
    push_store(store, url)
    other = Workspace.open(tmp_path / "other")
    pull_store(other, url, dataset, "vit_tiny", None, "float16")
    (path,) = other.embeddings.glob("*.zarr")
    pulled = EmbeddingStore.open(path)
    assert pulled.is_complete()
    assert pulled.fingerprint == store.fingerprint
    assert ensure_embeddings(other, dataset, "vit_tiny", say=pytest.fail).path == path


def test_a_converted_store_is_the_one_that_a_run_expects(workspace, dataset, store):
    converted = convert_in_workspace(workspace, store, "int8")
    assert converted.precision == "int8"
    found = ensure_embeddings(workspace, dataset, "vit_tiny", precision="int8", say=pytest.fail)
    assert found.path == converted.path


def test_stored_slices_equal_slices_encoded_again(workspace, store):
    line = largest_difference(workspace, store, 3)
    assert line.startswith("3 slices encoded again: largest relative difference ")
    assert float(line.rsplit(" ", 1)[1]) < 1e-3


def test_repaired_slices_have_the_bytes_they_had(workspace, store):
    chunk = store.path / "neck" / "c.4.0.0.0"
    intact = chunk.read_bytes()
    chunk.write_bytes(bytes(len(intact)))
    assert list(damaged_slices(store)) == [4]
    repair_store(workspace, store, [4])
    assert chunk.read_bytes() == intact
    assert damaged_slices(EmbeddingStore.open(store.path)) == {}


def test_the_dataset_of_a_store_is_found_by_content_and_its_absence_is_named(
    workspace, dataset, store
):
    dataset.path.rename(workspace.datasets / "renamed.zarr")
    assert dataset_of(workspace, store).fingerprint == dataset.fingerprint
    (workspace.datasets / "renamed.zarr").rename(workspace.root / "elsewhere.zarr")
    with pytest.raises(StoreError, match=r"was computed from dataset small .*import it again"):
        dataset_of(workspace, store)
