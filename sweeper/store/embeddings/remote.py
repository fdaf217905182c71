"""Embedding stores behind a URL: copied with checksums, or read through a cache on the local disk.

A remote store has the same Zarr layout, with zstd chunks. Its journal is one object that is
rewritten after every few slices, so that an interrupted copy can be resumed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sweeper.errors import StoreError
from sweeper.store.embeddings.commits import JOURNAL, Commit, checksum, parse_journal
from sweeper.store.embeddings.manifest import EmbeddingManifest, parse_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


def is_url(uri: str | Path) -> bool:
    """True if the store's address is a URL and not a path."""
    return "://" in str(uri)


class RemoteFolder:
    """A folder behind `s3://`, `gs://`, `az://` or `file://`; uses the usual cloud credentials.

    Raises:
        StoreError: The `s3` extra is not installed, or the URL cannot be used.
    """

    def __init__(self, url: str) -> None:
        try:
            from obstore.store import from_url
        except ImportError as err:
            raise StoreError(
                f"{url} needs the package obstore; install it with: pip install 'sweeper[s3]'"
            ) from err
        self.url = url.rstrip("/")
        options: dict[str, Any] = {"mkdir": True} if url.startswith("file://") else {}
        try:
            self._store = from_url(self.url, **options)
        except Exception as err:
            raise StoreError(
                f"cannot use {url} for embeddings: {_first_line(err)}; use an s3://, gs://, az://"
                " or file:// URL with a bucket or folder"
            ) from err

    def get(self, key: str) -> bytes | None:
        """An object's bytes, or None if it does not exist.

        Raises:
            StoreError: The URL cannot be reached or read.
        """
        try:
            return bytes(self._store.get(key).bytes())
        except FileNotFoundError:
            return None
        except Exception as err:
            raise StoreError(f"cannot read {self.url}/{key}: {_first_line(err)}") from err

    def put(self, key: str, content: bytes) -> None:
        """Write an object.

        Raises:
            StoreError: The URL cannot be reached or written.
        """
        try:
            self._store.put(key, content)
        except Exception as err:
            raise StoreError(f"cannot write {self.url}/{key}: {_first_line(err)}") from err

    def keys(self) -> set[str]:
        """Keys of all objects in the folder.

        Raises:
            StoreError: The URL cannot be reached or listed.
        """
        try:
            return {str(item["path"]) for batch in self._store.list() for item in batch}
        except Exception as err:
            raise StoreError(f"cannot list {self.url}: {_first_line(err)}") from err

    def manifest(self) -> EmbeddingManifest:
        """The manifest of the embedding store in this folder.

        Raises:
            StoreError: There is none.
        """
        text = self.get("zarr.json")
        if text is None:
            raise StoreError(
                f"there is no embedding store at {self.url}; make one with 'sweeper embed DATASET"
                f" --push {self.url.rsplit('/', 1)[0]}'"
            )
        return parse_manifest(text, self.url)

    def commits(self) -> dict[int, Commit]:
        """Commits of the slices that the store holds, by slice."""
        return parse_journal((self.get(JOURNAL) or b"").decode(errors="replace"))

    def values(
        self, manifest: EmbeddingManifest, array: str, index: int, commits: Mapping[int, Commit]
    ) -> np.ndarray:
        """One slice of one array, decoded and checked.

        Raises:
            StoreError: It is missing, or its bytes differ from those that were committed.
        """
        key = manifest.chunk_key(array, index)
        content = self.get(key)
        where = f"{manifest.slice_name(index)} of {self.url}"
        if content is None or index not in commits:
            raise StoreError(f"{where} is missing; push the store again")
        fix = f"remove {key} there and push the store again"
        try:
            values = decode_chunk(content, manifest, array)
        except (RuntimeError, ValueError) as err:
            raise StoreError(f"{where} is damaged: {array}: {err}; {fix}") from err
        if checksum(values) != commits[index].checksums.get(array):
            raise StoreError(f"{where} is damaged: wrong checksum of {array}; {fix}")
        return values


class RemoteChunks:
    """Chunks of a remote store, kept as files in a cache of bounded size on this machine.

    All workers of a node and all stores share the cache; the least recently used files are removed
    first, whichever store they belong to.
    """

    is_mapped: ClassVar[bool] = False

    def __init__(
        self,
        remote: RemoteFolder,
        manifest: EmbeddingManifest,
        commits: Mapping[int, Commit],
        *,
        cache: Path,
        cache_bytes: int,
    ) -> None:
        self._remote = remote
        self._manifest = manifest
        self._commits = commits
        self._root = cache
        self._cache = cache / manifest.fingerprint
        self._limit = cache_bytes
        self._cache.mkdir(parents=True, exist_ok=True)

    def read(self, array: str, index: int) -> Tensor:
        """The slice, from the cache or fetched into it."""
        file = self._cache / self._manifest.chunk_key(array, index).replace("/", ".")
        shape, dtype = self._manifest.arrays[array]
        try:
            content = file.read_bytes()
            file.touch()
            values = np.frombuffer(bytearray(content), dtype=dtype).reshape(shape)
        except (FileNotFoundError, ValueError):
            values = None
        if values is None or checksum(values) != self._commits[index].checksums.get(array):
            values = self._remote.values(self._manifest, array, index, self._commits)
            self._keep(file, values)
        import torch

        return torch.from_numpy(values)

    def _keep(self, file: Path, values: np.ndarray) -> None:
        """Add a file to the cache and remove the least recently used ones above the size limit."""
        if values.nbytes > self._limit:
            return
        with tempfile.NamedTemporaryFile(dir=self._cache, delete=False) as partial:
            partial.write(values.tobytes())
        Path(partial.name).replace(file)
        cached = []
        for path in self._root.glob("*/*"):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue  # another worker removed it
            cached.append((stat.st_mtime_ns, stat.st_size, path))
        excess = sum(size for _, size, _ in cached) - self._limit
        for _, size, path in sorted(cached):
            if excess <= 0:
                break
            path.unlink(missing_ok=True)
            excess -= size


def decode_chunk(content: bytes, manifest: EmbeddingManifest, array: str) -> np.ndarray:
    """A chunk's values, writable.

    Raises:
        ValueError: The bytes are not a chunk of this array.
        RuntimeError: They cannot be decompressed.
    """
    from numcodecs.zstd import Zstd

    raw = Zstd().decode(content) if manifest.codec == "zstd" else content
    shape, dtype = manifest.arrays[array]
    return np.frombuffer(bytearray(raw), dtype=dtype).reshape(shape)


def _first_line(err: Exception) -> str:
    return (str(err).splitlines() or [type(err).__name__])[0][:300]
