"""Reads a slice's bytes: through a memory map on a local disk, or through Zarr's reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from sweeper.store.embeddings.manifest import EmbeddingManifest

# torch is imported where tensors are made: plans and status open stores without it


class DamagedChunkError(Exception):
    """A chunk is missing, has the wrong size or cannot be decoded; the message says which."""


class ChunkSource(Protocol):
    """Reads one slice of one array in the stored form; thread-safe.

    Attributes:
        is_mapped: The tensors are memory maps, so that keeping them costs no memory.
    """

    is_mapped: ClassVar[bool]

    def read(self, array: str, index: int) -> Tensor:
        """The slice, unchecked.

        Raises:
            DamagedChunkError: It is missing or cannot be read.
        """


class MappedChunks:
    """Copy-on-write memory maps of uncompressed chunk files; no Zarr code runs."""

    is_mapped: ClassVar[bool] = True

    def __init__(self, path: Path, manifest: EmbeddingManifest) -> None:
        self._path = path
        self._manifest = manifest

    def read(self, array: str, index: int) -> Tensor:
        """A memory map of the chunk's file."""
        import torch

        shape, dtype = self._manifest.arrays[array]
        chunk = self._path / self._manifest.chunk_key(array, index)
        torch_dtype: torch.dtype = getattr(torch, dtype)
        count = torch.Size(shape).numel()
        try:
            size = chunk.stat().st_size
        except FileNotFoundError as err:
            raise DamagedChunkError(f"its file {array}/{chunk.name} is missing") from err
        if size != count * torch_dtype.itemsize:
            raise DamagedChunkError(
                f"{array} has {size} bytes, expected {count * torch_dtype.itemsize}"
            )
        return torch.from_file(str(chunk), shared=False, size=count, dtype=torch_dtype).view(shape)


class ZarrChunks:
    """Reads compressed stores through Zarr, by integer index only (sources.md S59)."""

    is_mapped: ClassVar[bool] = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._arrays: dict[str, Any] = {}

    def read(self, array: str, index: int) -> Tensor:
        """A decoded copy of the chunk; a missing one reads as nan and fails its checksum."""
        import torch
        import zarr

        try:
            if array not in self._arrays:
                # formats before 3 may name a codec that unpickles
                opened = zarr.open_array(str(self._path / array), mode="r", zarr_format=3)
                self._arrays[array] = opened
            return torch.from_numpy(self._arrays[array][index])
        except (OSError, RuntimeError, ValueError, TypeError, KeyError) as err:
            raise DamagedChunkError(f"{array} cannot be decoded ({err})") from err
