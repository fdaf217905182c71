"""Which of several searched trainings stands for a cell: the source chooses, never a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.report.entries import Entry, method_label

if TYPE_CHECKING:
    from collections.abc import Sequence


_CELL_KEYS = (
    "method.ablation",
    "source",
    "structure",
    "seed",
    "fold",
    "target",
    "grid_size",
    "iou_threshold",
    "min_region_px",
)


def select_trainings(entries: Sequence[Entry], rule: str) -> tuple[Entry, ...]:
    """The entries of each cell's best training; all of them under the rule `none`.

    A cell is a method, a source, a structure, a seed and a scoring; trainings without the number
    that the rule looks at cannot be chosen.
    """
    if rule == "none":
        return tuple(entries)
    best: dict[tuple[str, ...], Entry] = {}
    for entry in entries:
        where = (
            method_label(entry.values),
            *(entry.values.get(key, "") for key in _CELL_KEYS),
        )
        known = best.get(where)
        if known is None or _merit(entry, rule) > _merit(known, rule):
            best[where] = entry
    chosen = {id(entry) for entry in best.values()}
    return tuple(entry for entry in entries if id(entry) in chosen)


def _merit(entry: Entry, rule: str) -> float:
    """Higher is better; minus infinity for what is not done."""
    if entry.run is None:
        return float("-inf")
    value = entry.run.summary.get(f"selected_{rule}")
    if value is None or value != value:
        return float("-inf")
    return -value if rule == "validation_loss" else value
