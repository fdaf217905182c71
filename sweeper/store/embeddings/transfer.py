"""Copies whole embedding stores to a URL and back, slice by slice, each with its checksum."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.store.embeddings.commits import JOURNAL
from sweeper.store.embeddings.remote import RemoteFolder
from sweeper.store.embeddings.writer import (
    ChunkWriter,
    StoreWriter,
    create_store,
    encode_chunk,
    require_disk_space,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweeper.store.embeddings.manifest import EmbeddingManifest
    from sweeper.store.embeddings.store import EmbeddingStore

_SLICES_PER_JOURNAL = 16


def push(
    store: EmbeddingStore, url: str, progress: Callable[[int, int], None] | None = None
) -> None:
    """Copy a local store to `url`, compressed; slices that are already there are not sent again.

    Raises:
        StoreError: The URL holds another store or cannot be written; a local slice is damaged.
    """
    remote = RemoteFolder(url)
    manifest = replace(store.manifest, codec="zstd")
    if remote.get("zarr.json") is None:
        _put_metadata(remote, manifest)
    remote.manifest().require_same(manifest, url, to_write=True)
    commits = remote.commits()
    remote_keys = remote.keys() if commits else set()  # a missing object is sent again
    todo = [
        index
        for index in sorted(store.commits)
        if commits.get(index) != store.commits[index]
        or any(manifest.chunk_key(array, index) not in remote_keys for array in manifest.arrays)
    ]
    for done, index in enumerate(todo, start=1):
        for array in manifest.arrays:
            values = store.values(array, index).numpy()
            remote.put(manifest.chunk_key(array, index), bytes(encode_chunk(values, "zstd")))
        commits[index] = store.commits[index]
        if done % _SLICES_PER_JOURNAL == 0 or done == len(todo):
            lines = "".join(commits[i].line() for i in sorted(commits))
            remote.put(JOURNAL, lines.encode())
        if progress is not None:
            progress(done, len(todo))


def pull(
    url: str,
    path: Path,
    wanted: EmbeddingManifest | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Copy the slices at `url` to the store `path`, uncompressed; resumes an interrupted copy.

    Args:
        url: Of the remote store.
        path: Of the local store, which may already hold some slices.
        wanted: The manifest that the remote store must match, if any.
        progress: Called with the number of copied slices and the total.

    Raises:
        StoreError: Either store is missing, damaged, or another store.
    """
    remote = RemoteFolder(url)
    remote_manifest = remote.manifest()
    if wanted is not None:
        remote_manifest.require_same(wanted, url)
    manifest = replace(remote_manifest, codec="none")
    commits = remote.commits()
    writer = ChunkWriter(path, manifest)
    with StoreWriter(path, manifest) as store_writer:
        todo = [index for index in store_writer.missing if index in commits]
        require_disk_space(path, manifest, len(todo))
        for done, index in enumerate(todo, start=1):
            arrays = {a: remote.values(remote_manifest, a, index, commits) for a in manifest.arrays}
            store_writer.commit([writer.write_stored(index, arrays)])
            if progress is not None:
                progress(done, len(todo))


def _put_metadata(remote: RemoteFolder, manifest: EmbeddingManifest) -> None:
    """Write the store's `zarr.json` files; the group's last, because it makes the store exist."""
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / "store.zarr"
        create_store(local, manifest)
        for array in manifest.arrays:
            remote.put(f"{array}/zarr.json", (local / array / "zarr.json").read_bytes())
        remote.put("zarr.json", (local / "zarr.json").read_bytes())
