from __future__ import annotations

import json
import re
import shutil

import pytest
import torch
from obstore.store import from_url
from toy_embeddings import fill, make_manifest

from sweeper.errors import StoreError, WorkspaceError
from sweeper.store.embeddings.convert import convert_store
from sweeper.store.embeddings.remote import RemoteFolder
from sweeper.store.embeddings.store import EmbeddingStore
from sweeper.store.embeddings.transfer import pull, push


@pytest.fixture(scope="module")
def bucket():
    """An S3 server on the loopback interface."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    patch = pytest.MonkeyPatch()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_REGION": "us-east-1",
    }.items():
        patch.setenv(name, value)
    import urllib.request

    request = urllib.request.Request(f"http://{host}:{port}/embeddings", method="PUT")
    urllib.request.urlopen(request).close()
    yield "s3://embeddings"
    patch.undo()
    server.stop()


@pytest.fixture(params=["s3", "file"])
def url(request, tmp_path) -> str:
    if request.param == "file":
        return f"file://{tmp_path}/remote/store.zarr"
    return f"{request.getfixturevalue('bucket')}/{tmp_path.name}/store.zarr"


def equal(a: EmbeddingStore, b: EmbeddingStore, n: int) -> bool:
    return all(
        torch.equal(x, y)
        for k in range(n)
        for x, y in zip(
            (*a.embedding(k).taps, a.embedding(k).neck),
            (*b.embedding(k).taps, b.embedding(k).neck),
            strict=True,
        )
    )


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_a_store_goes_to_a_url_and_comes_back_the_same(url, tmp_path, precision):
    local = fill(tmp_path / "local.zarr", make_manifest(precision=precision))
    push(local, url)
    pull(url, tmp_path / "back.zarr", local.manifest)
    back = EmbeddingStore.open(tmp_path / "back.zarr")
    assert back.is_complete()
    assert back.commits == local.commits
    assert back.manifest == local.manifest
    assert equal(back, local, 6)


@pytest.mark.parametrize("is_damaged", [True, False])
def test_a_damaged_or_missing_remote_slice_is_fixed_as_the_message_says(url, tmp_path, is_damaged):
    local = fill(tmp_path / "local.zarr", make_manifest())
    push(local, url)
    remote, key = from_url(url), local.manifest.chunk_key("tap0", 1)
    remote.put(key, b"no chunk") if is_damaged else remote.delete(key)
    fix = f"remove {key} there and push" if is_damaged else "is missing; push"
    with pytest.raises(StoreError, match=f"slice 1 .*{re.escape(fix)} the store again"):
        pull(url, tmp_path / "back.zarr")
    if is_damaged:
        remote.delete(key)
    sent: list[int] = []
    push(local, url, lambda done, total: sent.append(total))
    assert sent == [1]
    pull(url, tmp_path / "back.zarr")
    assert EmbeddingStore.open(tmp_path / "back.zarr").is_complete()


def test_a_copy_that_was_interrupted_sends_only_the_rest(url, tmp_path):
    fill(tmp_path / "local.zarr", make_manifest(), indices=range(4))
    push(EmbeddingStore.open(tmp_path / "local.zarr"), url)
    local, sent = fill(tmp_path / "local.zarr", make_manifest()), []
    push(local, url, lambda done, total: sent.append((done, total)))
    assert sent == [(1, 2), (2, 2)]
    fetched = []
    pull(url, tmp_path / "back.zarr", None, lambda done, total: fetched.append(total))
    pull(url, tmp_path / "back.zarr", None, lambda done, total: fetched.append(total))
    assert fetched == [6] * 6


def test_a_store_is_read_by_its_url_through_a_cache_of_bounded_size(url, tmp_path):
    local = fill(tmp_path / "local.zarr", make_manifest())
    push(local, url)
    cache, limit = tmp_path / "cache", 3 * local.manifest.slice_bytes
    store = EmbeddingStore.open(url, cache=cache, cache_bytes=limit)
    assert store.fingerprint == local.fingerprint
    assert store.is_complete()
    assert equal(store, local, 6)
    files = [f for f in cache.rglob("*") if f.is_file()]
    assert 0 < sum(f.stat().st_size for f in files) <= limit


def test_all_stores_of_a_machine_share_the_caches_size(url, tmp_path):
    stores = []
    for name in ("a", "b"):
        local = fill(tmp_path / f"{name}.zarr", make_manifest(encoder_fingerprint=name))
        push(local, f"{url}-{name}")
        stores.append(local)
    cache, limit = tmp_path / "cache", 4 * stores[0].manifest.slice_bytes
    for name, local in zip(("a", "b"), stores, strict=True):
        store = EmbeddingStore.open(f"{url}-{name}", cache=cache, cache_bytes=limit)
        assert equal(store, local, 6)
    files = [f for f in cache.rglob("*") if f.is_file()]
    assert 0 < sum(f.stat().st_size for f in files) <= limit
    assert {f.parent.name for f in files} == {
        stores[1].fingerprint
    }  # the oldest were removed first


def test_a_copy_or_a_conversion_that_the_disk_cannot_hold_is_refused(url, tmp_path, monkeypatch):
    local = fill(tmp_path / "local.zarr", make_manifest())
    push(local, url)
    usage = shutil.disk_usage(tmp_path)._replace(free=10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(WorkspaceError, match=r"0\.0 GB free, but 6 slices need"):
        pull(url, tmp_path / "back.zarr")
    with pytest.raises(WorkspaceError, match=r"0\.0 GB free, but 6 slices need"):
        convert_store(local, tmp_path / "int8.zarr", "int8")
    assert not (tmp_path / "int8.zarr").exists()


def test_cached_slices_are_not_fetched_again_unless_the_file_is_damaged(url, tmp_path):
    local = fill(tmp_path / "local.zarr", make_manifest())
    push(local, url)
    store = EmbeddingStore.open(url, cache=tmp_path / "cache")
    assert equal(store, local, 6)
    for file in (tmp_path / "cache").rglob("neck*"):
        file.write_bytes(b"\0" * file.stat().st_size)
    RemoteFolder(url).put("taps/c.3.0.0.0.0", b"gone")
    assert equal(store, local, 6)


def test_a_damaged_remote_slice_is_named(url, tmp_path):
    push(fill(tmp_path / "local.zarr", make_manifest()), url)
    remote = RemoteFolder(url)
    content = bytearray(remote.get("neck/c.5.0.0.0"))
    content[-1] ^= 1
    remote.put("neck/c.5.0.0.0", bytes(content))
    with pytest.raises(StoreError, match=r"slice 5 \(case case-2, .*damaged"):
        pull(url, tmp_path / "back.zarr")
    assert len(EmbeddingStore.open(tmp_path / "back.zarr").commits) == 5


def test_another_store_at_the_url_is_refused_and_a_missing_one_is_named(url, tmp_path):
    push(fill(tmp_path / "a.zarr", make_manifest()), url)
    other = fill(tmp_path / "b.zarr", make_manifest(encoder_fingerprint="other"))
    with pytest.raises(StoreError, match="encoder fingerprint is 'feedfeed', wanted 'other'"):
        push(other, url)
    with pytest.raises(StoreError, match="there is no embedding store at"):
        pull(url + "-not", tmp_path / "c.zarr")


def test_zarrs_own_api_reads_a_remote_store(tmp_path):
    import zarr

    local = fill(tmp_path / "local.zarr", make_manifest())
    push(local, f"file://{tmp_path}/remote.zarr")
    group = zarr.open_group(str(tmp_path / "remote.zarr"), mode="r")
    assert json.dumps(group.attrs["sweeper_embeddings"])
    assert (group["neck"][2] == local.embedding(2).neck.numpy()).all()
