"""Sequences of slices: reordered, recorded while they are read, or grouped by case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from desam_model.types import Slice

if TYPE_CHECKING:
    from collections.abc import Iterable


class Reordered(Sequence[Slice]):
    """A view in another order; a slice is still read only when it is accessed."""

    def __init__(self, view: Sequence[Slice], order: Sequence[int]) -> None:
        self._view, self._order = view, order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: Any) -> Any:
        return self._view[self._order[index]]


class ReadOnce(Sequence[Slice]):
    """A view that records every slice it returns, without image and embedding.

    The loader reads the slices; scoring then has their references without a second read.

    Attributes:
        seen: Slices by position, without image and embedding.
    """

    def __init__(self, view: Sequence[Slice]) -> None:
        self._view = view
        self.seen: dict[int, Slice] = {}

    def __len__(self) -> int:
        return len(self._view)

    def __getitem__(self, index: Any) -> Any:
        slice_ = self._view[index]
        self.seen[index] = replace(slice_, image=None, embedding=None)
        return slice_

    def slices(self) -> list[Slice]:
        """All slices in order, without image and embedding; each must have been read before."""
        return [self.seen[index] for index in range(len(self))]


def by_case(slices: Iterable[Slice]) -> dict[str, list[int]]:
    """Positions of the slices of each case in ascending z; cases in order of appearance."""
    positions: dict[str, list[tuple[int, int]]] = {}
    for index, slice_ in enumerate(slices):
        positions.setdefault(slice_.case, []).append((slice_.z, index))
    return {case: [index for _, index in sorted(pairs)] for case, pairs in positions.items()}
