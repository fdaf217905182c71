from __future__ import annotations

import pytest
from toy_embeddings import fill, make_embedding, make_manifest

from sweeper.errors import StoreError
from sweeper.store.embeddings.convert import convert_store, quantisation_error
from sweeper.store.embeddings.inventory import (
    damaged_slices,
    find_store,
    remove_store,
    summarise_stores,
)
from sweeper.store.embeddings.store import EmbeddingStore
from sweeper.store.embeddings.writer import StoreWriter
from sweeper.store.ledger import Ledger
from sweeper.store.workspace import Workspace


def chunks(store: EmbeddingStore) -> dict[str, bytes]:
    return {f"{c.parent.name}/{c.name}": c.read_bytes() for c in store.path.glob("*/c.*")}


@pytest.mark.parametrize(
    ("start", "end"), [("float32", "float16"), ("float32", "int8"), ("float16", "int8")]
)
def test_a_converted_store_is_byte_for_byte_an_encoded_one(tmp_path, start, end):
    source = fill(tmp_path / "source.zarr", make_manifest(precision=start))
    converted = convert_store(source, tmp_path / "converted.zarr", end)
    direct = fill(tmp_path / "direct.zarr", make_manifest(precision=end))
    assert chunks(converted) == chunks(direct)
    assert converted.commits == direct.commits
    assert converted.fingerprint == direct.fingerprint != source.fingerprint


def test_a_conversion_that_would_invent_precision_is_refused(tmp_path):
    source = fill(tmp_path / "source.zarr", make_manifest())
    with pytest.raises(StoreError, match="is float16 and can be converted to int8, not to float32"):
        convert_store(source, tmp_path / "t.zarr", "float32")
    half = fill(tmp_path / "half.zarr", make_manifest(), indices=[0])
    with pytest.raises(StoreError, match="has 1 of 6 slices"):
        convert_store(half, tmp_path / "t.zarr", "int8")


def test_the_error_of_int8_is_half_a_step_of_its_scale_at_most():
    sample = [make_embedding(k) for k in range(3)]
    error = quantisation_error(sample)
    largest = max(t.abs().max().item() for e in sample for t in (*e.taps, e.neck))
    assert 0 < error.mean < error.maximum <= largest / 127 / 2 * 1.1
    assert error.n_slices == 3
    assert error.mean_of_std < 0.01


def test_verify_finds_exactly_the_damaged_slices_and_revoking_makes_them_missing(tmp_path):
    path, manifest = tmp_path / "s.zarr", make_manifest()
    store = fill(path, manifest)
    store.embedding(4)  # a slice that was read and found good is checked again
    for name in ("tap1/c.4.0.0.0", "neck/c.1.0.0.0"):
        content = bytearray((path / name).read_bytes())
        content[7] ^= 16
        (path / name).write_bytes(content)
    assert sorted(damaged_slices(store)) == [1, 4]
    with StoreWriter(path, manifest) as store_writer:
        store_writer.revoke([1, 4])
        assert store_writer.missing == [1, 4]
    assert fill(path, manifest).is_complete()
    assert damaged_slices(EmbeddingStore.open(path)) == {}


def test_the_inventory_lists_users_of_a_store_and_folders_that_are_not_stores(tmp_path):
    workspace = Workspace.open(tmp_path)
    used = fill(workspace.embeddings / "used.zarr", make_manifest())
    fill(workspace.embeddings / "unused.zarr", make_manifest(precision="int8"))
    (workspace.embeddings / "other.zarr").mkdir()
    folder = Ledger(workspace.trainings).folder("abc123")
    folder.write(
        "config", {"identity": {"embedding": used.fingerprint}, "name": "desam full A-ISBI 0"}
    )
    summaries, foreign = summarise_stores(workspace)
    assert {s.store.path.stem: s.users for s in summaries} == {"used": ("abc123",), "unused": ()}
    assert {s.methods for s in summaries} == {("desam full A-ISBI 0",), ()}
    assert [path.stem for path in foreign] == ["other"]
    assert all(s.size_bytes > 6 * s.store.manifest.slice_bytes for s in summaries)
    remove_store(find_store(workspace, "unused").path)
    with pytest.raises(StoreError, match=r"no embedding store .* the stores are other, used"):
        find_store(workspace, "unused.zarr")
    assert sorted(p.name for p in workspace.embeddings.iterdir()) == [
        "other.zarr",
        "used.zarr",
        "used.zarr.lock",
    ]
