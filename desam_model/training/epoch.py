"""Building blocks of an epoch: derived seeds, micro-batches, and the validation Dice."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import numpy as np

from desam_model.slices import by_case
from desam_model.types import Batch, Embedding, Slice

if TYPE_CHECKING:
    from collections.abc import Sequence


def derived_seed(seed: int, epoch: int, purpose: str) -> int:
    """A seed for one purpose in one epoch; a resumed training needs no saved random state."""
    digest = hashlib.sha256(f"{seed}/{epoch}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:7], "big")


def split_batch(batch: Batch, parts: int) -> list[Batch]:
    """The batch as at most `parts` consecutive micro-batches of nearly equal size."""
    if parts == 1:
        return [batch]
    size = -(-len(batch) // parts)
    return [_micro_batch(batch, slice(first, first + size)) for first in range(0, len(batch), size)]


def _micro_batch(batch: Batch, span: slice) -> Batch:
    embedding = batch.embedding
    return Batch(
        reference=batch.reference[span],
        image=None if batch.image is None else batch.image[span],
        embedding=None
        if embedding is None
        else Embedding(taps=tuple(tap[span] for tap in embedding.taps), neck=embedding.neck[span]),
    )


def mean_case_dice(masks: Sequence[np.ndarray], slices: Sequence[Slice]) -> float:
    """Mean Dice over case volumes, without ignored voxels.

    Cases with undefined Dice are skipped; nan if all are.
    """
    values = []
    for order in by_case(slices).values():
        reference = np.stack([slices[i].reference.numpy() for i in order])
        prediction = np.stack([masks[i] for i in order]) & (reference >= 0)
        values.append(_dice(prediction, reference > 0))
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan


def _dice(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Dice of one case volume, nan if both masks are empty.

    This is not the Dice of `scoring`: this value can select a checkpoint, so it belongs to the
    training code, and a change of a reported metric must not make trainings stale.
    """
    total = int(prediction.sum()) + int(reference.sum())
    return 2.0 * int((prediction & reference).sum()) / total if total else math.nan
