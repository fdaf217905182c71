"""Views: slices of some cases that show a structure or not, with the fields that a method reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import torch

from desam_model.types import Reads, Slice
from sweeper.errors import StoreError
from sweeper.store.embeddings.places import dataset_slices

if TYPE_CHECKING:
    from torch import Tensor

    from desam_model.types import Embedding
    from sweeper.store.dataset.store import CaseRecord, DatasetStore
    from sweeper.store.embeddings.store import EmbeddingStore

_CACHE_BYTES = 256 * 2**20
"""Decoded references and images that one view caches; 1,350 slices need 177 MB."""


@dataclass(frozen=True, slots=True)
class _SlicePosition:
    """Position of one slice of the view in the dataset store."""

    case: CaseRecord
    index: int
    z: int
    is_last: bool


class SliceView(Sequence[Slice]):
    """A lazy sequence of slices, ordered by case, then by ascending z."""

    def __init__(
        self,
        dataset: DatasetStore,
        positions: Sequence[_SlicePosition],
        *,
        structure: str,
        reads: frozenset[Reads],
        embeddings: _Embeddings | None,
    ) -> None:
        self._dataset = dataset
        self._positions = positions
        self._structure = structure
        self._reads = reads
        self._embeddings = embeddings
        self._cache: dict[tuple[str, int], Tensor] = {}
        self._cached_bytes = 0

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, position: int) -> Slice: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[Slice]: ...
    def __getitem__(self, position: int | slice) -> Slice | Sequence[Slice]:
        if isinstance(position, slice):
            return SliceView(
                self._dataset,
                self._positions[position],
                structure=self._structure,
                reads=self._reads,
                embeddings=self._embeddings,
            )
        return self._slice(self._positions[position])

    def _slice(self, position: _SlicePosition) -> Slice:
        return Slice(
            case=position.case.case,
            domain=position.case.domain,
            structure=self._structure,
            z=position.z,
            is_last_foreground=position.is_last,
            spacing_mm=position.case.spacing_mm,
            reference=self._cached("mask", position.index),
            image=self._cached("image", position.index) if Reads.IMAGE in self._reads else None,
            embedding=None if self._embeddings is None else self._embeddings.of(position.index),
        )

    def _cached(self, field: str, index: int) -> Tensor:
        """Decoded pixels, cached while they fit: they are small and needed in every epoch."""
        key = (field, index)
        if key not in self._cache:
            pixels = (
                self._dataset.image(index)
                if field == "image"
                else self._dataset.reference(index, self._structure)
            )
            tensor = torch.tensor(pixels)
            if self._cached_bytes + tensor.nbytes > _CACHE_BYTES:
                return tensor
            self._cached_bytes += tensor.nbytes
            self._cache[key] = tensor
        return self._cache[key]


class _Embeddings:
    """Embeddings by the index of a slice in the dataset.

    The slices that show a structure are in one store, the rest of the scans in another; both may
    hold the cases in another order than the dataset.
    """

    def __init__(self, dataset: DatasetStore, stores: Sequence[EmbeddingStore]) -> None:
        self._places = {
            index: (store, place)
            for store in stores
            for place, index in enumerate(dataset_slices(dataset, store.manifest))
        }

    def of(self, index: int) -> Embedding:
        """The embedding of a slice."""
        store, place = self._places[index]
        return store.embedding(place)


def slice_view(
    dataset: DatasetStore,
    cases: Sequence[str],
    *,
    structure: str,
    reads: frozenset[Reads],
    embeddings: EmbeddingStore | None = None,
) -> SliceView:
    """The slices of `cases` that show `structure`.

    Args:
        dataset: The images and references.
        cases: Case ids; the view keeps their order.
        structure: One of the dataset's structures; slices without it are left out, `z` numbers
            the remaining ones, and the case's last one is marked.
        reads: The fields the method needs; nothing else is loaded.
        embeddings: Required if `reads` contains embeddings; otherwise ignored.

    Raises:
        StoreError: Unknown case or structure; embeddings missing, incomplete, or of other images.
    """
    records = _records(dataset, cases, structure)
    positions = [position for record in records for position in _positions_in(record, structure)]
    used = _embeddings(dataset, reads, embeddings)
    return SliceView(dataset, positions, structure=structure, reads=reads, embeddings=used)


def background_view(
    dataset: DatasetStore,
    cases: Sequence[str],
    *,
    structure: str,
    reads: frozenset[Reads],
    embeddings: EmbeddingStore | None = None,
    background: EmbeddingStore | None = None,
) -> SliceView:
    """The slices of `cases` that `slice_view` leaves out: with it the whole scans.

    `z` is the position in the scan, and cases that do not show `structure` at all are left out.

    Args:
        dataset: The images and references; must keep whole scans.
        cases: Case ids; the view keeps their order.
        structure: One of the dataset's structures.
        reads: The fields the method needs; nothing else is loaded.
        embeddings: Of slices that show any structure; required if `reads` contains embeddings.
        background: Of the other slices; likewise, if there are any.

    Raises:
        StoreError: As `slice_view`, or the dataset does not keep whole scans.
    """
    if not dataset.keeps_all_slices:
        raise StoreError(
            f"dataset {dataset.name} keeps only the slices with a reference, and a whole scan was"
            " asked for; import it again with --replace"
        )
    positions = [
        _SlicePosition(record, record.start + z, z, is_last=False)
        for record in _records(dataset, cases, structure)
        if any(record.foreground[structure])
        for z, present in enumerate(record.foreground[structure])
        if not present
    ]
    used = _embeddings(dataset, reads, embeddings, background)
    return SliceView(dataset, positions, structure=structure, reads=reads, embeddings=used)


def _records(dataset: DatasetStore, cases: Sequence[str], structure: str) -> list[CaseRecord]:
    """The cases in the given order.

    Raises:
        StoreError: Unknown case or structure.
    """
    records = {record.case: record for record in dataset.cases}
    if structure not in dataset.structures:
        raise StoreError(
            f"dataset {dataset.name} has no structure {structure!r}; it has"
            f" {', '.join(dataset.structures)}"
        )
    unknown = [case for case in cases if case not in records]
    if unknown:
        raise StoreError(
            f"dataset {dataset.name} has no case {unknown[0]!r}; 'sweeper data show"
            f" {dataset.name}' lists its cases"
        )
    return [records[case] for case in cases]


def _positions_in(record: CaseRecord, structure: str) -> list[_SlicePosition]:
    flags = record.foreground[structure]
    kept = [record.start + offset for offset, present in enumerate(flags) if present]
    return [_SlicePosition(record, index, z, z == len(kept) - 1) for z, index in enumerate(kept)]


def _embeddings(
    dataset: DatasetStore,
    reads: frozenset[Reads],
    embeddings: EmbeddingStore | None,
    background: EmbeddingStore | None = None,
) -> _Embeddings | None:
    """What a method that reads embeddings reads them from.

    Raises:
        StoreError: Embeddings are missing, incomplete, or of other images.
    """
    if Reads.EMBEDDING not in reads:
        return None
    if embeddings is None:
        raise StoreError(
            f"the method reads embeddings, but dataset {dataset.name} has none; make them with"
            f" 'sweeper embed {dataset.name}'"
        )
    stores = [embeddings] if background is None else [embeddings, background]
    for store in stores:
        _require_embeddings_of(dataset, store)
    return _Embeddings(dataset, stores)


def _require_embeddings_of(dataset: DatasetStore, embeddings: EmbeddingStore) -> None:
    part = " --whole-scan" if embeddings.manifest.is_background else ""
    command = f"sweeper embed {dataset.name}{part}"
    scans = embeddings.manifest.scan_fingerprint or dataset.scan_fingerprint
    is_same = embeddings.dataset_fingerprint == dataset.fingerprint
    if not is_same or scans != dataset.scan_fingerprint:
        raise StoreError(
            f"embedding store {embeddings.path} was made from other images (dataset fingerprint"
            f" {embeddings.dataset_fingerprint}, but {dataset.name} has {dataset.fingerprint}); run"
            f" '{command}'"
        )
    if not embeddings.is_complete():
        raise StoreError(
            f"embedding store {embeddings.path} has {len(embeddings.commits)} of"
            f" {embeddings.n_slices} slices; run '{command}' again to finish it"
        )
