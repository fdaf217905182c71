"""Selects one of several searched trainings per cell, by the source and never by a target."""

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

    A cell is a method, a source, a structure, a seed and a scoring; trainings without the value
    that the rule compares cannot be selected.
    """
    if rule == "none":
        return tuple(entries)
    best: dict[tuple[str, ...], Entry] = {}
    for entry in entries:
        cell = (
            method_label(entry.values),
            *(entry.values.get(key, "") for key in _CELL_KEYS),
        )
        best_so_far = best.get(cell)
        if best_so_far is None or _goodness(entry, rule) > _goodness(best_so_far, rule):
            best[cell] = entry
    selected = {id(entry) for entry in best.values()}
    return tuple(entry for entry in entries if id(entry) in selected)


def _goodness(entry: Entry, rule: str) -> float:
    """The value that the rule compares, higher is better; minus infinity if unfinished."""
    if entry.run is None:
        return float("-inf")
    value = entry.run.summary.get(f"selected_{rule}")
    if value is None or value != value:
        return float("-inf")
    return -value if rule == "validation_loss" else value
