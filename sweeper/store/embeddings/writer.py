"""Writes embedding stores: first the manifest, then the chunks, then one commit per slice.

Any number of `ChunkWriter`s, in threads, processes or on other nodes, may write the
chunks of disjoint slices. One `StoreWriter`, which holds the store's lock, creates the store and
is the only writer of its journal.
"""

from __future__ import annotations

import os
import shutil
import uuid
from typing import TYPE_CHECKING, Self

import numpy as np

from sweeper.errors import StoreError, WorkspaceError
from sweeper.locks import FileLock, is_locked
from sweeper.store.embeddings.commits import (
    Commit,
    append_commits,
    checksum,
    read_journal,
    revoke_commits,
)
from sweeper.store.embeddings.manifest import (
    MANIFEST_KEY,
    Codec,
    EmbeddingManifest,
    parse_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

    from torch import Tensor

    from desam_model.types import Embedding
    from sweeper.store.embeddings.manifest import EmbeddingManifest

_TEMPORARY = ".partial"


class ChunkWriter:
    """Writes the chunks of slices to an existing store; thread-safe for different slices."""

    def __init__(self, path: Path, manifest: EmbeddingManifest) -> None:
        self._path = path
        self._manifest = manifest

    @property
    def precision(self) -> str:
        """Precision of the stored values."""
        return self._manifest.precision

    def write(self, index: int, embedding: Embedding) -> Commit:
        """Write one slice and return its commit, which the journal still needs.

        Args:
            index: Index of the slice.
            embedding: On the CPU, without a batch axis.

        Raises:
            StoreError: A value is not finite in the stored precision, or a shape is wrong.
            WorkspaceError: The disk is full or cannot be written.
        """
        return self.write_stored(index, stored_arrays(embedding, self._manifest, index))

    def write_stored(self, index: int, arrays: Mapping[str, np.ndarray]) -> Commit:
        """Write one slice whose arrays are already in the stored form, such as a copied one."""
        for name, values in arrays.items():
            self._write_chunk(name, index, values)
        return Commit(index, {name: checksum(values) for name, values in arrays.items()})

    def _write_chunk(self, name: str, index: int, values: np.ndarray) -> None:
        target = self._path / self._manifest.chunk_key(name, index)
        partial = target.with_name(
            f"{target.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}{_TEMPORARY}"
        )
        try:
            with partial.open("wb") as file:
                file.write(encode_chunk(values, self._manifest.codec))
        except OSError as err:
            raise WorkspaceError(
                f"{self._manifest.slice_name(index)} cannot be written to {self._path}"
                f" ({err.strerror}); free disk space or make the folder writable, then run the"
                " same command again to resume"
            ) from err
        partial.replace(target)


class StoreWriter:
    """The only writer of one store's journal: a context manager that holds the store's lock.

    A second process waits for the first and then finds the slices already written.
    """

    def __init__(
        self,
        path: Path,
        manifest: EmbeddingManifest,
        *,
        on_wait: Callable[[], None] | None = None,
    ) -> None:
        self._path = path
        self._manifest = manifest
        self._on_wait = on_wait
        self._lock = FileLock(_lock_file(path))
        self._done: set[int] = set()

    def __enter__(self) -> Self:
        self._lock.take(self._on_wait)
        try:
            if not self._path.exists():
                create_store(self._path, self._manifest)
            existing = parse_manifest((self._path / "zarr.json").read_bytes(), self._path)
            existing.require_same(self._manifest, self._path, to_write=True)
            _remove_partial_files(self._path)
            self._done = set(read_journal(self._path))
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.release()

    @property
    def missing(self) -> list[int]:
        """Indices of the slices without a commit, ascending."""
        return [i for i in range(self._manifest.n_slices) if i not in self._done]

    def commit(self, commits: Iterable[Commit]) -> None:
        """Commit slices whose chunks are written."""
        commits = list(commits)
        append_commits(self._path, commits)
        self._done.update(c.index for c in commits)

    def revoke(self, slices: Iterable[int]) -> None:
        """Revoke the commits of damaged slices."""
        slices = list(slices)
        revoke_commits(self._path, slices)
        self._done.difference_update(slices)


def is_being_written(path: Path) -> bool:
    """True if a process holds the store's lock now."""
    return is_locked(_lock_file(path))


def _lock_file(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def create_store(path: Path, manifest: EmbeddingManifest) -> None:
    """Create an empty store with its manifest and all array metadata, atomically."""
    import zarr

    partial = path.with_name(f"{path.name}.{os.getpid()}{_TEMPORARY}")
    shutil.rmtree(partial, ignore_errors=True)
    group = zarr.open_group(str(partial), mode="w", zarr_format=3)
    for name, (shape, dtype) in manifest.arrays.items():
        group.create_array(
            name,
            shape=(manifest.n_slices, *shape),
            chunks=(1, *shape),
            dtype=dtype,
            compressors=_codecs(manifest),
            filters=None,
            # a missing chunk reads as nan, never as zeros that look like data
            fill_value=-128 if dtype == "int8" else float("nan"),
            chunk_key_encoding={"name": "default", "separator": "."},
        )
    group.attrs[MANIFEST_KEY] = manifest.to_json()
    partial.rename(path)


def stored_arrays(
    embedding: Embedding, manifest: EmbeddingManifest, index: int
) -> dict[str, np.ndarray]:
    """A slice's arrays by name, in the stored form, contiguous.

    Raises:
        StoreError: A value is not finite in the stored precision, or a shape is wrong.
    """
    import torch  # only encoding needs it; plans and status open stores without it

    values = {f"tap{i}": tap for i, tap in enumerate(embedding.taps)}
    if manifest.format == 1:
        values = {"taps": torch.stack(embedding.taps)}
    values["neck"] = embedding.neck
    unknown = set(values) - set(manifest.arrays)
    if unknown:
        raise StoreError(
            f"{manifest.slice_name(index)}: the embedding has {len(embedding.taps)} taps, the store"
            f" holds {len(manifest.taps)}"
        )
    arrays: dict[str, np.ndarray] = {}
    for name, tensor in values.items():
        shape = manifest.arrays[name][0]
        if tuple(tensor.shape) != shape:
            raise StoreError(
                f"{manifest.slice_name(index)}: {name} has shape {tuple(tensor.shape)}, the store"
                f" holds {shape}"
            )
        if manifest.precision == "int8":
            _require_finite(tensor.half(), manifest, index, name)
            # from the float16 values, so that a converted store equals an encoded one
            whole, scale = quantise(tensor.half())
            arrays[name], arrays[f"{name}_scale"] = whole.numpy(), scale.numpy()
        else:
            stored = tensor.to(getattr(torch, manifest.precision)).contiguous()
            _require_finite(stored, manifest, index, name)
            arrays[name] = stored.numpy()
    return arrays


def encode_chunk(values: np.ndarray, codec: Codec) -> bytes | memoryview:
    """The bytes of one chunk as Zarr's codecs would write them."""
    if codec == "none":
        return values.reshape(-1).view(np.uint8).data
    from numcodecs.zstd import Zstd

    return bytes(Zstd(level=3).encode(values))


def _codecs(manifest: EmbeddingManifest) -> list[dict[str, object]] | None:
    if manifest.codec == "none":
        return None
    return [{"name": "zstd", "configuration": {"level": 3, "checksum": False}}]


def _require_finite(tensor: Tensor, manifest: EmbeddingManifest, index: int, name: str) -> None:
    if not bool(tensor.isfinite().all()):
        raise StoreError(
            f"{manifest.slice_name(index)}: {name} has values that are not finite in"
            f" {manifest.precision}; embed with --precision float32, or check the checkpoint"
        )


def _remove_partial_files(path: Path) -> None:
    """Remove what a killed writer left; nobody else writes while the lock is held."""
    for folder in path.parent.glob(f"{path.name}.*{_TEMPORARY}"):
        shutil.rmtree(folder, ignore_errors=True)
    for partial in path.glob(f"*/*{_TEMPORARY}"):
        partial.unlink(missing_ok=True)


SPARE_BYTES = 512 * 2**20
"""Disk space that must stay free after a store is written."""


def free_bytes(path: Path) -> int:
    """Bytes free on the disk that holds `path`, which need not exist yet."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def require_disk_space(path: Path, manifest: EmbeddingManifest, n_missing: int) -> None:
    """Raise if the disk has too little space for the missing slices.

    Raises:
        WorkspaceError: Says how much space is needed and how much is free.
    """
    needed, free = n_missing * manifest.slice_bytes + SPARE_BYTES, free_bytes(path)
    if n_missing and needed > free:
        raise WorkspaceError(
            f"the disk of {path.parent} has {free / 1e9:.1f} GB free, but {n_missing} slices need"
            f" {needed / 1e9:.1f} GB with a reserve; free some space, use --precision int8, or name"
            " another disk with --workspace"
        )


_LEVELS = 127.0


def quantise(values: Tensor) -> tuple[Tensor, Tensor]:
    """Integers -127..127 and the scale of each channel; `q * scale` is the value.

    Args:
        values: `(..., C, h, w)` finite floats.

    Returns:
        `(..., C, h, w)` int8 and `(..., C)` float32; a channel of zeros has scale 0.
    """
    import torch  # see ChunkWriter.write

    values = values.float()
    scale = values.abs().amax(dim=(-2, -1)) / _LEVELS
    safe = torch.where(scale > 0, scale, torch.ones_like(scale))
    whole = (values / safe[..., None, None]).round_().clamp_(-_LEVELS, _LEVELS)
    return whole.to(torch.int8), scale


def dequantise(whole: Tensor, scale: Tensor) -> Tensor:
    """The float16 values `(..., C, h, w)` of what `quantise` returned."""
    return (whole.float() * scale[..., None, None]).half()
