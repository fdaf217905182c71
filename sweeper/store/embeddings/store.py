"""Reads embeddings: on a local disk a slice is a memory map of its Zarr chunk, checked once.

Zarr is not involved then, and nothing is copied to memory: all workers of a node share the page
cache, and the kernel may drop its pages. Compressed stores are read through Zarr.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from desam_model.encoder.precision import PRECISIONS
from desam_model.types import Embedding
from sweeper.errors import StoreError
from sweeper.store.embeddings.chunks import ChunkSource, DamagedChunkError, MappedChunks, ZarrChunks
from sweeper.store.embeddings.commits import Commit, checksum, read_journal
from sweeper.store.embeddings.manifest import EmbeddingManifest, parse_manifest
from sweeper.store.embeddings.remote import RemoteChunks, RemoteFolder, is_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from desam_model.encoder.entry import MapShape

CACHE_BYTES = 20 * 10**9
"""Size of a node's cache for stores behind a URL."""

_MAX_MAPS = 32768
"""Memory maps kept open; the kernel allows a process 65,530."""


class EmbeddingStore:
    """A store of frozen embeddings, opened for reading; can be used from several threads.

    Attributes:
        path: The Zarr group's folder, or its URL.
        manifest: The store's identity, shapes and origin.
    """

    def __init__(
        self,
        path: Path,
        manifest: EmbeddingManifest,
        commits: Mapping[int, Commit],
        chunks: ChunkSource | None = None,
    ) -> None:
        self.path = path
        self.manifest = manifest
        self._commits = commits
        self._chunks: ChunkSource = chunks or (
            MappedChunks(path, manifest) if manifest.codec == "none" else ZarrChunks(path)
        )
        self._maps: dict[tuple[str, int], Tensor] = {}
        self._mapped: dict[int, Embedding] = {}

    @classmethod
    def open(
        cls,
        uri: str | Path,
        *,
        cache: Path | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> EmbeddingStore:
        """The store at `uri`, complete or not.

        Args:
            uri: A folder, or a URL (`s3://`, `gs://`, `file://`) with the store's name last.
            cache: Local folder that keeps slices of a URL; by default
                `~/.cache/sweeper/embeddings`; shared by all stores and workers of this machine.
            cache_bytes: Largest size of the cache.

        Raises:
            StoreError: There is no embedding store at `uri`.
        """
        if is_url(uri):
            remote = RemoteFolder(str(uri))
            manifest, commits = remote.manifest(), remote.commits()
            folder = cache or Path.home() / ".cache" / "sweeper" / "embeddings"
            chunks = RemoteChunks(remote, manifest, commits, cache=folder, cache_bytes=cache_bytes)
            return cls(Path(str(uri)), manifest, commits, chunks)
        path = Path(uri)
        try:
            text = (path / "zarr.json").read_bytes()
        except (FileNotFoundError, NotADirectoryError) as err:
            raise StoreError(
                f"there is no embedding store at {path}; make one with 'sweeper embed DATASET'"
            ) from err
        return cls(path, parse_manifest(text, path), read_journal(path))

    @property
    def fingerprint(self) -> str:
        """Identity of dataset, encoder, precision and preprocessing; 16 hex digits."""
        return self.manifest.fingerprint

    @property
    def dataset_fingerprint(self) -> str:
        """Identity of the images that were embedded."""
        return self.manifest.dataset_fingerprint

    @property
    def encoder(self) -> str:
        """Name of the encoder."""
        return self.manifest.encoder

    @property
    def encoder_fingerprint(self) -> str:
        """Identity of the encoder's weights."""
        return self.manifest.encoder_fingerprint

    @property
    def precision(self) -> str:
        """`float16`, `float32` or `int8`."""
        return self.manifest.precision

    @property
    def n_slices(self) -> int:
        """Number of slices of the dataset, committed or not."""
        return self.manifest.n_slices

    @property
    def taps(self) -> tuple[MapShape, ...]:
        """Stored shape of each tap, earliest layer first."""
        return self.manifest.taps

    @property
    def neck(self) -> MapShape:
        """Stored shape of the neck."""
        return self.manifest.neck

    @property
    def input_px(self) -> int:
        """Side of the encoder's input frame, the frame of prompt coordinates."""
        return self.manifest.input_px

    @property
    def commits(self) -> Mapping[int, Commit]:
        """Committed slices with their checksums, as of opening the store."""
        return self._commits

    def is_complete(self) -> bool:
        """True if every slice is committed."""
        return len(self._commits) == self.n_slices

    def embedding(self, index: int) -> Embedding:
        """One slice's embedding in the stored form, without a batch axis; int8 comes with scales.

        In a local uncompressed store its tensors are copy-on-write memory maps: writing to them
        changes nothing on disk.

        Raises:
            StoreError: The slice is missing, or its bytes differ from those that were committed.
            IndexError: There is no such slice.
        """
        mapped = self._mapped.get(index)
        if mapped is not None:
            return mapped
        if not 0 <= index < self.n_slices:
            raise IndexError(f"slice is {index}, but {self.path.name} has 0..{self.n_slices - 1}")
        scales = None
        if PRECISIONS[self.precision].has_scales:
            scales = (*self._taps(index, "_scale"), self.values("neck_scale", index))
        embedding = Embedding(
            taps=self._taps(index), neck=self.values("neck", index), scales=scales
        )
        if self._chunks.is_mapped:
            self._mapped[index] = embedding
        return embedding

    def _taps(self, index: int, suffix: str = "") -> tuple[Tensor, ...]:
        """The taps of a slice or, with suffix `_scale`, their scales."""
        if self.manifest.format == 1:
            return tuple(self.values(f"taps{suffix}", index))
        return tuple(self.values(f"tap{i}{suffix}", index) for i in range(len(self.taps)))

    def values(self, array: str, index: int) -> Tensor:
        """One slice of one array in the stored form; checked against its commit on first read.

        Raises:
            StoreError: The slice is missing, or its bytes differ from those that were committed.
        """
        key = (array, index)
        mapped = self._maps.get(key)
        if mapped is not None:
            return mapped
        commit = self._commits.get(index)
        if commit is None:
            raise StoreError(
                f"{self.manifest.slice_name(index)} is missing in {self.path}"
                f" ({len(self._commits)} of {self.n_slices} slices are there); run the same"
                " 'sweeper embed' again to complete it"
            )
        try:
            tensor = self._chunks.read(array, index)
        except DamagedChunkError as err:
            raise self._damaged(index, str(err)) from err
        if checksum(tensor.numpy()) != commit.checksums.get(array):
            raise self._damaged(index, f"the checksum of {array} is wrong")
        if self._chunks.is_mapped:
            if len(self._maps) >= _MAX_MAPS:
                self._maps.clear()
                self._mapped.clear()
            self._maps[key] = tensor
        return tensor

    def _damaged(self, index: int, reason: str) -> StoreError:
        return StoreError(
            f"{self.manifest.slice_name(index)} of {self.path} is damaged: {reason}; 'sweeper"
            f" embeddings verify {self.path.name} --repair' re-creates it"
        )
