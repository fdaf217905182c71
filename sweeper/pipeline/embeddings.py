"""What is done with embedding stores once they are there: copy, convert, compare, repair."""

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
"""Slices whose quantisation error is printed."""


def push_store(
    store: EmbeddingStore, url: str, progress: Callable[[str, int, int], None] | None = None
) -> None:
    """Copy a store below `url`, under its own name; resumes."""
    told = None if progress is None else lambda done, total: progress("pushed", done, total)
    transfer.push(store, f"{url.rstrip('/')}/{store.path.name}", told)


def pull_store(
    workspace: Workspace,
    url: str,
    dataset: DatasetStore,
    encoder: str,
    checkpoint: Path | None,
    precision: str,
    progress: Callable[[str, int, int], None] | None = None,
    *,
    is_background: bool = False,
) -> None:
    """Copy what lies below `url` of the store that this dataset needs; resumes."""
    weights = encoder_fingerprint(encoder, resolve_checkpoint(workspace, encoder, checkpoint))
    wanted = wanted_manifest(dataset, encoder, weights, precision, is_background=is_background)
    path = store_path(workspace, wanted)
    told = None if progress is None else lambda done, total: progress("pulled", done, total)
    transfer.pull(f"{url.rstrip('/')}/{path.name}", path, wanted, told)


def convert_in_workspace(
    workspace: Workspace,
    source: EmbeddingStore,
    precision: str,
    progress: Callable[[int, int], None] | None = None,
) -> EmbeddingStore:
    """The store of a smaller precision, where `sweeper run` looks for it."""
    target = store_path(workspace, replace(source.manifest, precision=precision))
    return convert_store(source, target, precision, progress)


def precision_cost(
    workspace: Workspace, dataset: DatasetStore, store: EmbeddingStore, checkpoint: Path | None
) -> str:
    """How far int8 is from float16 on a sample of slices, as a line for a person."""
    error = quantisation_error(_encoded(workspace, dataset, store, checkpoint, _SAMPLE))
    return (
        f"int8 against float16 on {error.n_slices} slices: error at most {error.maximum:.4g}, mean"
        f" {error.mean:.4g}; of the channel's standard deviation at most"
        f" {error.maximum_of_std:.2%}, mean {error.mean_of_std:.2%}"
    )


def largest_difference(workspace: Workspace, store: EmbeddingStore, n_slices: int) -> str:
    """Stored slices against slices encoded now, as a line for a person."""
    dataset = dataset_of(workspace, store)
    largest = 0.0
    indices = _sample(store.n_slices, n_slices)
    encoded = _encoded(workspace, dataset, store, None, n_slices)
    for index, fresh in zip(indices, encoded, strict=True):
        kept = store.embedding(index).to(dtype=torch.float32)
        for got, want in zip((*kept.taps, kept.neck), (*fresh.taps, fresh.neck), strict=True):
            difference = (got - want.float()).norm() / want.float().norm()
            largest = max(largest, difference.item())
    return f"{len(indices)} slices encoded again: largest relative difference {largest:.2e}"


def repair_store(workspace: Workspace, store: EmbeddingStore, damaged: Sequence[int]) -> None:
    """Make damaged slices anew.

    Raises:
        StoreError: The dataset is not in the workspace.
        WeightsError: The checkpoint is not there.
    """
    dataset = dataset_of(workspace, store)
    with StoreWriter(store.path, store.manifest) as store_writer:
        store_writer.revoke(damaged)
    ensure_embeddings(
        workspace,
        dataset,
        store.encoder,
        precision=store.precision,
        compute=store.manifest.compute,
        into=store.path,
        is_background=store.manifest.is_background,
    )


def dataset_of(workspace: Workspace, store: EmbeddingStore) -> DatasetStore:
    """The dataset that a store was made of.

    Raises:
        StoreError: It is not in the workspace.
    """
    for path in sorted(workspace.datasets.glob("*.zarr")):
        try:
            dataset = DatasetStore.open(path)
        except StoreError:
            continue  # another one's damage is no matter here
        needed = store.manifest.scan_fingerprint or dataset.scan_fingerprint
        is_same = dataset.fingerprint == store.dataset_fingerprint
        if is_same and dataset.scan_fingerprint == needed:
            return dataset
    raise StoreError(
        f"{store.path.name} was made of dataset {store.manifest.dataset} (fingerprint"
        f" {store.dataset_fingerprint}), which is not in {workspace.datasets}; import it again"
    )


def _sample(n_slices: int, wanted: int) -> list[int]:
    """Positions spread evenly."""
    return sorted({int(i) for i in np.linspace(0, n_slices - 1, min(wanted, n_slices))})


def _encoded(
    workspace: Workspace,
    dataset: DatasetStore,
    store: EmbeddingStore,
    checkpoint: Path | None,
    n_slices: int,
) -> Iterator[Embedding]:
    """Slices of a store encoded now, one at a time."""
    from desam_model.encoder.sam_vit import build_encoder
    from desam_model.types import Embedding

    weights = resolve_checkpoint(workspace, store.encoder, checkpoint)
    name = store.encoder
    encoder = build_encoder(name, weights, compute=store.manifest.compute)
    indices = dataset_slices(dataset, store.manifest)
    for index in _sample(store.n_slices, n_slices):
        made = encoder(torch.from_numpy(dataset.image(indices[index]))[None])
        yield Embedding(taps=tuple(tap[0] for tap in made.taps), neck=made.neck[0])
