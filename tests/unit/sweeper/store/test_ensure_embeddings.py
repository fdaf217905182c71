from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import pytest
import torch
from fake_dataset import FakeDataset

from desam_model.encoder.registry import build_encoder
from sweeper.errors import StoreError, WeightsError, WorkspaceError
from sweeper.pipeline.embed import ensure_embeddings, wanted_manifest
from sweeper.store.embeddings.store import EmbeddingStore
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


def test_the_same_images_under_another_name_are_not_encoded_again(workspace):
    store = ensure_embeddings(workspace, FakeDataset(), "vit_tiny")
    renamed = FakeDataset(name="renamed")
    assert ensure_embeddings(workspace, renamed, "vit_tiny").path == store.path
    assert renamed.image_reads == []
    assert [path.name for path in workspace.embeddings.glob("*.zarr")] == [store.path.name]


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


def test_more_channels_than_an_encoder_has_inputs_are_refused_with_what_to_do(workspace):
    with pytest.raises(StoreError, match=r"fake has 4 channels, .* at most 3 with --channel, or"):
        ensure_embeddings(workspace, FakeDataset(image_channels=4), "vit_tiny")
    assert not list(workspace.root.rglob("*.zarr"))


def test_a_disk_that_cannot_hold_the_store_is_refused_before_encoding(workspace, monkeypatch):
    import shutil

    usage = shutil.disk_usage(workspace.root)._replace(free=10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    dataset = FakeDataset(per_case=2)
    with pytest.raises(WorkspaceError, match=r"0\.0 GB free, but 4 slices need"):
        ensure_embeddings(workspace, dataset, "vit_tiny")
    assert dataset.image_reads == []
    assert not list(workspace.root.rglob("*.zarr"))


def test_a_full_disk_names_the_slice_and_the_same_command_resumes(workspace, monkeypatch):
    dataset, room = FakeDataset(per_case=10), [80]

    def encode_chunk(values, codec):
        room[0] -= 1
        if room[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return values.tobytes()

    with monkeypatch.context() as patch:
        patch.setattr("sweeper.store.embeddings.writer.encode_chunk", encode_chunk)
        with pytest.raises(WorkspaceError, match=r"slice 19 .*No space left on device.*resume"):
            ensure_embeddings(workspace, dataset, "vit_tiny")
    said: list[str] = []
    assert ensure_embeddings(workspace, dataset, "vit_tiny", say=said.append).is_complete()
    assert "embedding 4 of 20 slices" in said[0]


@pytest.mark.parametrize(
    ("capabilities", "encoder", "compute"),
    [
        ({"avx512_bf16": True}, "vit_b", "bf16-fused"),
        ({"avx512_bf16": True}, "vit_tiny", "float32-fused"),
        ({"avx512_bf16": False, "avx2": True}, "vit_h", "float32-fused"),
    ],
)
def test_auto_is_half_precision_where_the_hardware_has_it(
    monkeypatch, capabilities, encoder, compute
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert wanted_manifest(FakeDataset(), encoder, "weights", "float16").compute == compute


def test_a_compressed_store_is_resumed_and_holds_the_same_numbers(workspace, tmp_path):
    dataset = FakeDataset(per_case=9)
    plain = ensure_embeddings(workspace, dataset, "vit_tiny", into=tmp_path / "plain.zarr")

    def stop(progress):
        raise KeyboardInterrupt

    into = tmp_path / "small.zarr"
    with pytest.raises(KeyboardInterrupt):
        ensure_embeddings(workspace, dataset, "vit_tiny", into=into, codec="zstd", progress=stop)
    small = ensure_embeddings(workspace, dataset, "vit_tiny", into=into)
    assert small.manifest.codec == "zstd"
    assert small.commits == plain.commits
    assert small.fingerprint == plain.fingerprint
    for k in (0, 17):
        assert torch.equal(small.embedding(k).neck, plain.embedding(k).neck)


@pytest.mark.gpu
def test_encoding_on_a_gpu_gives_what_the_cpu_gives(workspace, tmp_path, monkeypatch):
    dataset = FakeDataset(per_case=20)
    on_gpu = ensure_embeddings(
        workspace, dataset, "vit_tiny", into=tmp_path / "gpu.zarr", compute="float32-fused"
    )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    on_cpu = ensure_embeddings(
        workspace, dataset, "vit_tiny", into=tmp_path / "cpu.zarr", compute="float32-fused"
    )
    for k in range(40):
        for got, want in zip(on_gpu.embedding(k).taps, on_cpu.embedding(k).taps, strict=True):
            assert (got - want).float().norm() / want.float().norm() < 1e-2


def test_a_missing_checkpoint_says_where_to_put_it(workspace):
    with pytest.raises(
        WeightsError, match=r"weights get vit_b.*yourself and put it into .*weights"
    ):
        ensure_embeddings(workspace, FakeDataset(), "vit_b")
    with pytest.raises(WeightsError, match="reads no checkpoint"):
        ensure_embeddings(workspace, FakeDataset(), "vit_tiny", checkpoint=Path("x.pth"))


def test_a_smaller_precision_is_converted_without_the_encoder(workspace, tmp_path, monkeypatch):
    dataset = FakeDataset()
    ensure_embeddings(workspace, dataset, "vit_tiny", pool=2)
    encoded = ensure_embeddings(
        Workspace.open(tmp_path / "other"), dataset, "vit_tiny", pool=2, precision="int8"
    )
    monkeypatch.setattr("sweeper.engine.embed.build_encoder", None)
    said: list[str] = []
    store = ensure_embeddings(
        workspace, dataset, "vit_tiny", pool=2, precision="int8", say=said.append
    )
    assert store.is_complete()
    assert "no slice is encoded again" in said[0]
    assert (store.fingerprint, dict(store.commits)) == (encoded.fingerprint, dict(encoded.commits))


def test_another_pooling_is_another_store(workspace):
    dataset = FakeDataset()
    stores = [ensure_embeddings(workspace, dataset, "vit_tiny", pool=pool) for pool in (1, 2, 4)]
    assert [store.neck.grid_hw for store in stores] == [(8, 8), (4, 4), (2, 2)]
    assert len({store.fingerprint for store in stores}) == 3
    assert len({store.path for store in stores}) == 3
    with pytest.raises(StoreError, match=r"pool is 3, expected one of 1, 2, 4; set encoder\.pool"):
        ensure_embeddings(workspace, dataset, "vit_tiny", pool=3)
