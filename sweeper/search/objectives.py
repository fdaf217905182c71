"""What decides in a search: the checkpoint that source validation selects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

EPOCH_KEYS = ("epoch", "validation_loss", "source_dice", "seconds")
"""What a search sees of an epoch: nothing of a target."""


def objectives(metrics: Sequence[str], epochs: Iterable[Mapping[str, Any]]) -> tuple[float, ...]:
    """The metrics of the checkpoint that is selected after some epochs.

    Args:
        metrics: Names of `search.metric`.
        epochs: At least one record with the `EPOCH_KEYS`.
    """
    records = list(epochs)
    selected = min(records, key=lambda record: record["validation_loss"])
    seconds = sum(record["seconds"] for record in records)
    return tuple(seconds if name == "seconds" else float(selected[name]) for name in metrics)
