from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from fake_dataset import FakeDataset

from desam_model.encoder import build_encoder
from sweeper.errors import StoreError, WeightsError, WorkspaceError
from sweeper.pipeline.embed import ensure_embeddings
from sweeper.store.embedding_store import EmbeddingStore
from sweeper.store.workspace import Workspace


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace.open(tmp_path / "workspace")


def digest(store: EmbeddingStore) -> dict[str, str]:
    """Hash of every chunk of a store."""
    return {
        str(chunk.relative_to(store.path)): hashlib.sha256(chunk.read_bytes()).hexdigest()
        for chunk in sorted(store.path.glob("*/c.*"))
    }


def test_a_dataset_is_embedded_and_the_second_call_encodes_nothing(workspace):
    dataset, seen = FakeDataset(per_case=9), []
    store = ensure_embeddings(workspace, dataset, "vit_tiny", progress=seen.append)
    assert store.is_complete()
    assert [p.done for p in seen] == [16, 18]
    encoder = build_encoder("vit_tiny")
    expected = encoder(torch.from_numpy(dataset.image(11))[None])
    assert torch.allclose(store.embedding(11).neck.float(), expected.neck[0], atol=2e-3)
    assert store.encoder_fingerprint == encoder.fingerprint
    reads = len(dataset.image_reads)
    again = ensure_embeddings(workspace, dataset, "vit_tiny")
    assert again.fingerprint == store.fingerprint
    assert len(dataset.image_reads) == reads


def test_an_interrupted_store_is_finished_to_the_same_bytes(workspace, tmp_path):
    dataset = FakeDataset(per_case=12)
    whole = ensure_embeddings(workspace, dataset, "vit_tiny", into=tmp_path / "whole.zarr")

    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensure_embeddings(
            workspace, dataset, "vit_tiny", into=tmp_path / "parts.zarr", progress=stop
        )
    half = EmbeddingStore.open(tmp_path / "parts.zarr")
    assert 0 < len(half.commits) < dataset.n_slices
    parts = ensure_embeddings(workspace, dataset, "vit_tiny", into=tmp_path / "parts.zarr")
    assert digest(parts) == digest(whole)
    assert parts.commits == whole.commits


def test_the_folder_of_another_dataset_is_refused(workspace, tmp_path):
    ensure_embeddings(workspace, FakeDataset(per_case=2), "vit_tiny", into=tmp_path / "s.zarr")
    other = FakeDataset(per_case=2, fingerprint="ffffffffffffffff")
    with pytest.raises(StoreError, match="dataset fingerprint is '0123456789abcdef', wanted 'ffff"):
        ensure_embeddings(workspace, other, "vit_tiny", into=tmp_path / "s.zarr")


def test_a_disk_that_cannot_hold_the_store_is_refused_before_encoding(workspace, monkeypatch):
    import shutil

    usage = shutil.disk_usage(workspace.root)._replace(free=10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    dataset = FakeDataset(per_case=2)
    with pytest.raises(WorkspaceError, match=r"0\.0 GB free, 4 slices need"):
        ensure_embeddings(workspace, dataset, "vit_tiny")
    assert dataset.image_reads == []


def test_a_missing_checkpoint_says_where_to_put_it(workspace):
    with pytest.raises(WeightsError, match=r"sweeper weights get vit_b.*by hand into .*weights"):
        ensure_embeddings(workspace, FakeDataset(), "vit_b")
    with pytest.raises(WeightsError, match="reads no checkpoint"):
        ensure_embeddings(workspace, FakeDataset(), "vit_tiny", checkpoint=Path("x.pth"))
