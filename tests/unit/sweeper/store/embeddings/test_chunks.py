"""Chunks are read as memory maps or through Zarr; damage is named."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from toy_embeddings import fill, make_embedding, make_manifest

from sweeper.store.embeddings.chunks import DamagedChunkError, MappedChunks, ZarrChunks

if TYPE_CHECKING:
    from pathlib import Path

    from sweeper.store.embeddings.manifest import EmbeddingManifest


@pytest.fixture
def stores(tmp_path: Path) -> tuple[Path, Path, EmbeddingManifest]:
    """The same slices in an uncompressed store and in a compressed one."""
    manifest = make_manifest()
    raw, packed = tmp_path / "raw.zarr", tmp_path / "packed.zarr"
    fill(raw, manifest)
    fill(packed, replace(manifest, codec="zstd"))
    return raw, packed, manifest


def test_a_mapped_and_a_decoded_chunk_have_the_stored_values(stores) -> None:
    raw, packed, manifest = stores
    mapped, decoded = MappedChunks(raw, manifest), ZarrChunks(packed)
    expected = make_embedding(2)
    for array, values in (("tap1", expected.taps[1]), ("neck", expected.neck)):
        assert torch.equal(mapped.read(array, 2).float(), values.half().float())
        assert torch.equal(decoded.read(array, 2), mapped.read(array, 2))
    assert mapped.is_mapped
    assert not decoded.is_mapped


def test_writing_to_a_mapped_chunk_changes_nothing_on_disk(stores) -> None:
    raw, _, manifest = stores
    chunks = MappedChunks(raw, manifest)
    before = (raw / manifest.chunk_key("neck", 1)).read_bytes()
    chunks.read("neck", 1).zero_()
    assert (raw / manifest.chunk_key("neck", 1)).read_bytes() == before
    assert chunks.read("neck", 1).any()


def test_a_missing_and_a_truncated_chunk_are_named(stores) -> None:
    raw, packed, manifest = stores
    chunk = raw / manifest.chunk_key("neck", 0)
    size = chunk.stat().st_size
    chunk.write_bytes(chunk.read_bytes()[:-2])
    with pytest.raises(DamagedChunkError, match=rf"neck has {size - 2} bytes, expected {size}"):
        MappedChunks(raw, manifest).read("neck", 0)
    chunk.unlink()
    with pytest.raises(DamagedChunkError, match=rf"its file neck/{chunk.name} is missing"):
        MappedChunks(raw, manifest).read("neck", 0)
    damaged = packed / manifest.chunk_key("tap0", 0)
    damaged.write_bytes(b"\0" * 20)
    with pytest.raises(DamagedChunkError, match="tap0 cannot be decoded"):
        ZarrChunks(packed).read("tap0", 0)


def test_a_missing_compressed_chunk_reads_as_nan_not_as_zeros(stores) -> None:
    _, packed, manifest = stores
    (packed / manifest.chunk_key("neck", 0)).unlink()
    assert ZarrChunks(packed).read("neck", 0).isnan().all()
