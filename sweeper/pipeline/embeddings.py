"""Operations on existing embedding stores: copy, convert, compare and repair."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from sweeper.errors import StoreError
from sweeper.pipeline.embed import ensure_embeddings, store_path, wanted_manifest
from sweeper.store.dataset.store import DatasetStore
from sweeper.store.embeddings import transfer
from sweeper.store.embeddings.convert import convert_store, quantisation_error
from sweeper.store.embeddings.places import dataset_slices
from sweeper.store.embeddings.writer import StoreWriter
from sweeper.store.weights import encoder_fingerprint, resolve_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from desam_model.types import Embedding
    from sweeper.store.embeddings.store import EmbeddingStore
    from sweeper.store.workspace import Workspace

_SAMPLE = 3
"""Number of slices from which the printed quantisation error is computed."""


def push_store(
    store: EmbeddingStore, url: str, progress: Callable[[str, int, int], None] | None = None
) -> None:
    """Copy a store to `url`, under its own name; an interrupted copy is resumed."""
    report = None if progress is None else lambda done, total: progress("pushed", done, total)
    transfer.push(store, f"{url.rstrip('/')}/{store.path.name}", report)


def pull_store(
    workspace: Workspace,
    url: str,
    dataset: DatasetStore,
    encoder: str,
    checkpoint: Path | None,
    precision: str,
    progress: Callable[[str, int, int], None] | None = None,
    *,
    pool: int = 1,
    is_background: bool = False,
) -> None:
    """Copy the slices at `url` of the store that this dataset needs; a copy is resumed."""
    weights = encoder_fingerprint(encoder, resolve_checkpoint(workspace, encoder, checkpoint))
    wanted = wanted_manifest(
        dataset, encoder, weights, precision, pool=pool, is_background=is_background
    )
    path = store_path(workspace, wanted)
    report = None if progress is None else lambda done, total: progress("pulled", done, total)
    transfer.pull(f"{url.rstrip('/')}/{path.name}", path, wanted, report)


def convert_in_workspace(
    workspace: Workspace,
    source: EmbeddingStore,
    precision: str,
    progress: Callable[[int, int], None] | None = None,
) -> EmbeddingStore:
    """The store converted to a smaller precision, at the path that `sweeper run` expects."""
    target = store_path(workspace, replace(source.manifest, precision=precision))
    return convert_store(source, target, precision, progress)


def precision_cost(
    workspace: Workspace, dataset: DatasetStore, store: EmbeddingStore, checkpoint: Path | None
) -> str:
    """The error of int8 relative to float16 on a sample of slices, as a line for the user."""
    error = quantisation_error(_encoded(workspace, dataset, store, checkpoint, _SAMPLE))
    return (
        f"int8 against float16 on {error.n_slices} slices: error at most {error.maximum:.4g}, mean"
        f" {error.mean:.4g}; of the channel's standard deviation at most"
        f" {error.maximum_of_std:.2%}, mean {error.mean_of_std:.2%}"
    )


def largest_difference(workspace: Workspace, store: EmbeddingStore, n_slices: int) -> str:
    """The difference between stored slices and the same slices encoded now, as a line."""
    dataset = dataset_of(workspace, store)
    largest = 0.0
    indices = _sample(store.n_slices, n_slices)
    encoded = _encoded(workspace, dataset, store, None, n_slices)
    for index, new in zip(indices, encoded, strict=True):
        stored = store.embedding(index).to(dtype=torch.float32)
        pairs = zip((*stored.taps, stored.neck), (*new.taps, new.neck), strict=True)
        for stored_map, new_map in pairs:
            difference = (stored_map - new_map.float()).norm() / new_map.float().norm()
            largest = max(largest, difference.item())
    return f"{len(indices)} slices encoded again: largest relative difference {largest:.2e}"


def repair_store(workspace: Workspace, store: EmbeddingStore, damaged: Sequence[int]) -> None:
    """Re-create damaged slices.

    Raises:
        StoreError: The dataset is not in the workspace.
        WeightsError: The checkpoint is missing.
    """
    dataset = dataset_of(workspace, store)
    with StoreWriter(store.path, store.manifest) as store_writer:
        store_writer.revoke(damaged)
    ensure_embeddings(
        workspace,
        dataset,
        store.encoder,
        precision=store.precision,
        pool=store.manifest.pool,
        compute=store.manifest.compute,
        into=store.path,
        is_background=store.manifest.is_background,
    )


def dataset_of(workspace: Workspace, store: EmbeddingStore) -> DatasetStore:
    """The dataset from which a store was computed.

    Raises:
        StoreError: The dataset is not in the workspace.
    """
    for path in sorted(workspace.datasets.glob("*.zarr")):
        try:
            dataset = DatasetStore.open(path)
        except StoreError:
            continue  # another dataset may be damaged
        needed = store.manifest.scan_fingerprint or dataset.scan_fingerprint
        is_same = dataset.fingerprint == store.dataset_fingerprint
        if is_same and dataset.scan_fingerprint == needed:
            return dataset
    raise StoreError(
        f"{store.path.name} was computed from dataset {store.manifest.dataset} (fingerprint"
        f" {store.dataset_fingerprint}), which is not in {workspace.datasets}; import it again"
    )


def _sample(n_slices: int, wanted: int) -> list[int]:
    """Evenly spaced positions."""
    return sorted({int(i) for i in np.linspace(0, n_slices - 1, min(wanted, n_slices))})


def _encoded(
    workspace: Workspace,
    dataset: DatasetStore,
    store: EmbeddingStore,
    checkpoint: Path | None,
    n_slices: int,
) -> Iterator[Embedding]:
    """A sample of a store's slices, encoded again one by one."""
    from desam_model.encoder.registry import build_encoder
    from desam_model.types import Embedding

    weights = resolve_checkpoint(workspace, store.encoder, checkpoint)
    manifest = store.manifest
    encoder = build_encoder(store.encoder, weights, compute=manifest.compute, pool=manifest.pool)
    indices = dataset_slices(dataset, store.manifest)
    for index in _sample(store.n_slices, n_slices):
        batch = encoder(torch.from_numpy(dataset.image(indices[index]))[None])
        yield Embedding(taps=tuple(tap[0] for tap in batch.taps), neck=batch.neck[0])
