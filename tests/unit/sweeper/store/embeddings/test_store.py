from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from toy_embeddings import fill, make_embedding, make_manifest

from desam_model.encoder.entry import MapShape
from desam_model.types import Embedding
from sweeper.errors import StoreError
from sweeper.store.embeddings.manifest import MANIFEST_KEY
from sweeper.store.embeddings.store import EmbeddingStore
from sweeper.store.embeddings.writer import ChunkWriter, StoreWriter


@pytest.mark.parametrize("codec", ["none", "zstd"])
@pytest.mark.parametrize(
    ("precision", "dtype", "tolerance"),
    [
        ("float32", torch.float32, 0.0),
        ("float16", torch.float16, 2e-3),
        ("int8", torch.int8, 3e-2),
    ],
)
def test_what_was_written_is_read(tmp_path, codec, precision, dtype, tolerance):
    store = fill(tmp_path / "s.zarr", make_manifest(codec=codec, precision=precision))
    assert store.is_complete()
    for k in range(6):
        written, read = make_embedding(k), store.embedding(k)
        assert read.neck.dtype == dtype
        values = read.to(dtype=torch.float32)
        for want, got in zip(
            (*written.taps, written.neck), (*values.taps, values.neck), strict=True
        ):
            assert (want - got).abs().max() <= tolerance


def test_zarrs_own_api_reads_the_same_numbers(tmp_path):
    store = fill(tmp_path / "s.zarr", make_manifest())
    group = zarr.open_group(str(tmp_path / "s.zarr"), mode="r")
    assert group["tap1"].shape == (6, 8, 4, 4)
    assert group["neck"].dtype == np.float16
    for k in range(6):
        np.testing.assert_array_equal(group["neck"][k], store.embedding(k).neck.numpy())
        for number, tap in enumerate(store.embedding(k).taps):
            np.testing.assert_array_equal(group[f"tap{number}"][k], tap.numpy())


def test_a_slice_is_a_memory_map_that_writing_does_not_change_on_disk(tmp_path):
    store = fill(tmp_path / "s.zarr", make_manifest())
    chunk = tmp_path / "s.zarr" / "neck" / "c.0.0.0.0"
    before = chunk.read_bytes()
    maps = Path("/proc/self/maps").read_text()
    assert str(chunk) not in maps
    neck = store.embedding(0).neck
    assert str(chunk) in Path("/proc/self/maps").read_text()
    neck.zero_()
    assert chunk.read_bytes() == before


def test_an_int8_slice_is_a_memory_map_too_with_its_scales(tmp_path):
    store = fill(tmp_path / "s.zarr", make_manifest(precision="int8"))
    embedding = store.embedding(3)
    assert str(tmp_path / "s.zarr" / "tap0" / "c.3.0.0.0") in Path("/proc/self/maps").read_text()
    assert embedding.scales is not None
    assert [tuple(s.shape) for s in embedding.scales] == [(8,), (8,), (8,), (5,)]
    assert embedding.to(dtype=torch.float32).scales is None


def test_a_slice_that_was_not_committed_is_named_and_not_read_as_zeros(tmp_path):
    store = fill(tmp_path / "s.zarr", make_manifest(), indices=[0, 1, 2, 4])
    assert not store.is_complete()
    with pytest.raises(StoreError, match=r"slice 3 \(case case-2, .* is missing in .* \(4 of 6"):
        store.embedding(3)


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_a_flipped_byte_names_the_slice(tmp_path, codec):
    path = tmp_path / "s.zarr"
    fill(path, make_manifest(codec=codec))
    chunk = path / "tap2" / "c.4.0.0.0"
    content = bytearray(chunk.read_bytes())
    content[100] ^= 1
    chunk.write_bytes(content)
    store = EmbeddingStore.open(path)
    store.embedding(3)
    with pytest.raises(StoreError, match=r"slice 4 \(case case-2, number 1 .*damaged"):
        store.embedding(4)


def test_a_truncated_and_a_missing_chunk_name_the_slice(tmp_path):
    path = tmp_path / "s.zarr"
    store = fill(path, make_manifest())
    chunk = path / "neck" / "c.2.0.0.0"
    chunk.write_bytes(chunk.read_bytes()[:-1])
    with pytest.raises(StoreError, match=r"slice 2 .*damaged: neck has 159 bytes, expected 160"):
        store.embedding(2)
    chunk.unlink()
    with pytest.raises(StoreError, match=r"slice 2 .*damaged: its file neck/c.2.0.0.0 is missing"):
        store.embedding(2)


def test_an_all_zero_slice_is_a_slice(tmp_path):
    path, manifest = tmp_path / "s.zarr", make_manifest(n_slices=1)
    zeros = Embedding(taps=(torch.zeros(8, 4, 4),) * 3, neck=torch.zeros(5, 4, 4))
    with StoreWriter(path, manifest) as store_writer:
        store_writer.commit([ChunkWriter(path, manifest).write(0, zeros)])
    store = EmbeddingStore.open(path)
    assert store.is_complete()
    assert not store.embedding(0).neck.any()


def test_a_value_beyond_half_precision_is_refused_with_its_slice(tmp_path):
    path, manifest = tmp_path / "s.zarr", make_manifest()
    big = Embedding(taps=(torch.full((8, 4, 4), 7e4),) * 3, neck=torch.zeros(5, 4, 4))
    with (
        StoreWriter(path, manifest),
        pytest.raises(StoreError, match=r"slice 2 .*: tap0 .* float32"),
    ):
        ChunkWriter(path, manifest).write(2, big)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("encoder_fingerprint", "other"),
        ("dataset_fingerprint", "other"),
        ("preprocessing", "other"),
        ("precision", "float32"),
        ("compute", "bf16-fused"),
    ],
)
def test_a_store_of_something_else_is_refused_by_name(tmp_path, field, value):
    manifest = make_manifest()
    fill(tmp_path / "s.zarr", manifest, indices=[0])
    other = dataclasses.replace(manifest, **{field: value})
    with (
        pytest.raises(StoreError, match=f"{field.replace('_', ' ')} is .* wanted '{value}'"),
        StoreWriter(tmp_path / "s.zarr", other),
    ):
        pass


def test_a_torn_line_of_the_journal_costs_only_its_slice(tmp_path):
    path = tmp_path / "s.zarr"
    fill(path, make_manifest(), indices=[0, 1, 2])
    journal = path / "commits.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    with StoreWriter(path, make_manifest()) as store_writer:
        assert store_writer.missing == [2, 3, 4, 5]
    assert fill(path, make_manifest()).is_complete()


def test_the_identity_is_of_the_numbers_and_not_of_how_they_lie():
    manifest = make_manifest()
    same = dataclasses.replace(manifest, codec="zstd", block=1, dataset="renamed")
    assert same.fingerprint == manifest.fingerprint
    for field in ("encoder_fingerprint", "dataset_fingerprint", "precision", "preprocessing"):
        other = dataclasses.replace(manifest, **{field: "int8"})
        assert other.fingerprint != manifest.fingerprint


def test_a_folder_that_is_no_store_says_what_to_do(tmp_path):
    with pytest.raises(StoreError, match=r"there is no embedding store at .*sweeper embed"):
        EmbeddingStore.open(tmp_path / "nothing.zarr")
    zarr.open_group(str(tmp_path / "other.zarr"), mode="w")
    with pytest.raises(StoreError, match="is not an embedding store"):
        EmbeddingStore.open(tmp_path / "other.zarr")


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_a_store_of_the_first_format_is_read_resumed_and_has_the_same_identity(tmp_path, precision):
    path = tmp_path / "old.zarr"
    wanted = make_manifest(precision=precision)
    fill(path, make_manifest(precision=precision, format=1), indices=[0, 1])
    written = json.loads((path / "zarr.json").read_text())["attributes"][MANIFEST_KEY]
    assert (written["format"], written["num_taps"], written["grid_hw"]) == (1, 3, [4, 4])
    assert not {"taps", "neck", "pool"} & set(written)
    old = EmbeddingStore.open(path)
    assert old.fingerprint == wanted.fingerprint
    assert old.taps == wanted.taps
    old = fill(path, old.manifest)  # the rest of its slices, in its own format
    assert not (path / "tap0").exists()
    new = fill(tmp_path / "new.zarr", wanted)
    for index in range(6):
        read, expected = old.embedding(index), new.embedding(index)
        for got, want in zip((*read.taps, read.neck), (*expected.taps, expected.neck), strict=True):
            assert torch.equal(got, want)


def test_every_tap_has_its_own_channels_and_grid(tmp_path):
    taps = (MapShape(2, (8, 8)), MapShape(4, (4, 4)), MapShape(6, (2, 2)))
    manifest = make_manifest(taps=taps, neck=MapShape(5, (2, 2)), precision="int8")
    generator = torch.Generator().manual_seed(0)
    *first, neck = (torch.randn(m.shape, generator=generator) for m in (*taps, manifest.neck))
    path = tmp_path / "s.zarr"
    with StoreWriter(path, manifest) as store_writer:
        embedding = Embedding(taps=tuple(first), neck=neck)
        store_writer.commit([ChunkWriter(path, manifest).write(0, embedding)])
    read = EmbeddingStore.open(path).embedding(0)
    assert [tuple(tap.shape) for tap in read.taps] == [tap.shape for tap in taps]
    assert [tuple(scale.shape) for scale in read.scales] == [(2,), (4,), (6,), (5,)]
    assert manifest.slice_bytes == 2 * 64 + 4 * 16 + 6 * 4 + 5 * 4 + 4 * 17


def test_an_embedding_with_another_number_of_taps_is_refused(tmp_path):
    manifest = make_manifest()
    embedding = make_embedding(0)
    more = Embedding(taps=(*embedding.taps, embedding.taps[0]), neck=embedding.neck)
    with StoreWriter(tmp_path / "s.zarr", manifest), pytest.raises(StoreError, match="has 4 taps"):
        ChunkWriter(tmp_path / "s.zarr", manifest).write(0, more)


def test_only_pooling_by_more_than_one_enters_the_identity():
    fingerprints = [make_manifest(pool=pool).fingerprint for pool in (1, 2, 4)]
    assert len(set(fingerprints)) == 3
    assert fingerprints[0] == make_manifest(format=1).fingerprint
