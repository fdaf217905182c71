"""Converts a store to a lower precision without the encoder, and measures the error."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from desam_model.encoder.precision import PRECISIONS
from sweeper.errors import StoreError
from sweeper.store.embeddings.commits import read_journal
from sweeper.store.embeddings.store import EmbeddingStore
from sweeper.store.embeddings.writer import (
    ChunkWriter,
    StoreWriter,
    dequantise,
    quantise,
    require_disk_space,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from torch import Tensor

    from desam_model.types import Embedding


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantisationError:
    """Differences between int8 and float16 on a sample of slices.

    Attributes:
        maximum: Largest difference.
        mean: Mean difference.
        maximum_of_std: Largest difference as a fraction of its channel's standard deviation.
        mean_of_std: Mean difference, likewise.
        n_slices: Number of slices in the sample.
    """

    maximum: float
    mean: float
    maximum_of_std: float
    mean_of_std: float
    n_slices: int


def convert_store(
    source: EmbeddingStore,
    target: Path,
    precision: str,
    progress: Callable[[int, int], None] | None = None,
) -> EmbeddingStore:
    """A store of the same embeddings in a lower precision; resumes an interrupted conversion.

    Raises:
        StoreError: The source is incomplete or not more precise; the target is another store.
    """
    smaller = PRECISIONS[source.precision].smaller
    if precision not in smaller:
        raise StoreError(
            f"{source.path.name} is {source.precision} and can be converted to"
            f" {' or '.join(smaller) or 'no lower precision'}, not to {precision};"
            f" the precisions are {', '.join(PRECISIONS)}"
        )
    if not source.is_complete():
        raise StoreError(
            f"{source.path.name} has {len(source.commits)} of {source.n_slices} slices; complete it"
            " with 'sweeper embed' before converting"
        )
    manifest = replace(source.manifest, precision=precision)
    require_disk_space(target, manifest, manifest.n_slices - len(read_journal(target)))
    writer = ChunkWriter(target, manifest)
    with StoreWriter(target, manifest) as store_writer:
        for index in store_writer.missing:
            store_writer.commit([writer.write(index, source.embedding(index))])
            if progress is not None:
                progress(index + 1, manifest.n_slices)
    return EmbeddingStore.open(target)


def quantisation_error(sample: Iterable[Embedding]) -> QuantisationError:
    """Differences between int8 and float16 over a sample of slices (no batch axis)."""
    maximum = maximum_of_std = 0.0
    means, means_of_std, n_slices = [], [], 0
    for embedding in sample:
        n_slices += 1
        for values in (*embedding.taps, embedding.neck):
            error, of_std = _errors(values.half())
            maximum = max(maximum, error.max().item())
            maximum_of_std = max(maximum_of_std, of_std.max().item())
            means.append(error.mean().item())
            means_of_std.append(of_std.mean().item())
    return QuantisationError(
        maximum=maximum,
        mean=sum(means) / len(means),
        maximum_of_std=maximum_of_std,
        mean_of_std=sum(means_of_std) / len(means_of_std),
        n_slices=n_slices,
    )


def _errors(values: Tensor) -> tuple[Tensor, Tensor]:
    """Absolute differences `(C, h, w)`, and these divided by the channel's standard deviation."""
    error = (dequantise(*quantise(values)).float() - values.float()).abs()
    spread = values.float().std(dim=(-2, -1), keepdim=True)
    return error, error / torch.where(spread > 0, spread, torch.ones_like(spread))
