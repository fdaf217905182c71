"""What an epoch is made of: an order of slices, seeds, pieces of batches, a mean Dice."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from desam_model.evaluate import by_case
from desam_model.metrics import dice
from desam_model.types import Batch, Embedding, Slice


class Reordered(Sequence[Slice]):
    """A view in another order; slices are still read only when asked for."""

    def __init__(self, view: Sequence[Slice], order: Sequence[int]) -> None:
        self._view, self._order = view, order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: Any) -> Any:
        return self._view[self._order[index]]


def derived_seed(seed: int, epoch: int, purpose: str) -> int:
    """A seed for one purpose in one epoch, so that a resume needs no saved random state."""
    digest = hashlib.sha256(f"{seed}/{epoch}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:7], "big")


def split_batch(batch: Batch, parts: int) -> list[Batch]:
    """The batch in at most `parts` consecutive pieces of nearly equal size."""
    if parts == 1:
        return [batch]
    size = -(-len(batch) // parts)
    return [_piece(batch, slice(first, first + size)) for first in range(0, len(batch), size)]


def _piece(batch: Batch, span: slice) -> Batch:
    embedding = batch.embedding
    return Batch(
        reference=batch.reference[span],
        image=None if batch.image is None else batch.image[span],
        embedding=None
        if embedding is None
        else Embedding(taps=tuple(tap[span] for tap in embedding.taps), neck=embedding.neck[span]),
    )


def mean_case_dice(masks: Sequence[np.ndarray], slices: Sequence[Slice]) -> float:
    """Mean Dice over case volumes; cases where it is undefined are left out, nan if all are."""
    values = []
    for order in by_case(slices).values():
        prediction = np.stack([masks[i] for i in order])
        reference = np.stack([slices[i].reference.numpy() for i in order]) > 0
        values.append(dice(prediction, reference))
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan
