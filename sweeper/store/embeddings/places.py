"""Which slice of a dataset each slice of an embedding store is.

A dataset has two embedding stores. One holds the slices that show a structure, which every training
reads; the other holds the rest of the scans and is made only where an evaluation reads whole scans.
The first is therefore the same store, byte for byte, whether the dataset keeps the rest or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.errors import StoreError

if TYPE_CHECKING:
    from sweeper.store.dataset.store import CaseRecord, DatasetStore
    from sweeper.store.embeddings.manifest import EmbeddingManifest


def offsets(record: CaseRecord, *, is_background: bool) -> tuple[int, ...]:
    """Offsets within a case of the slices that one of its two stores holds, ascending."""
    return record.hidden if is_background else record.shown


def dataset_slices(dataset: DatasetStore, manifest: EmbeddingManifest) -> list[int]:
    """Per slice of the embedding store its index in the dataset, which may order cases otherwise.

    Raises:
        StoreError: The store holds other cases or other numbers of slices.
    """
    records = {record.case: record for record in dataset.cases}
    indices: list[int] = []
    for case, count in manifest.cases:
        record = records.get(case)
        found = offsets(record, is_background=manifest.is_background) if record else ()
        if record is None or len(found) != count:
            raise StoreError(
                f"an embedding store of dataset {dataset.name} holds {count} slices of case {case},"
                f" and the dataset has {len(found)}; remove the store and run 'sweeper embed"
                f" {dataset.name}' again"
            )
        indices += [record.start + offset for offset in found]
    return indices
