"""Sequences of slices: in another order, remembered as they are read, grouped by case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from desam_model.types import Slice

if TYPE_CHECKING:
    from collections.abc import Iterable


class Reordered(Sequence[Slice]):
    """A view in another order; slices are still read only when asked for."""

    def __init__(self, view: Sequence[Slice], order: Sequence[int]) -> None:
        self._view, self._order = view, order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: Any) -> Any:
        return self._view[self._order[index]]


class ReadOnce(Sequence[Slice]):
    """A view that remembers, of each slice it handed out, all but the image and the embedding.

    A loader reads the slices; what scoring needs of them is then known without a second read.

    Attributes:
        seen: Position to slice, without image and embedding.
    """

    def __init__(self, view: Sequence[Slice]) -> None:
        self._view = view
        self.seen: dict[int, Slice] = {}

    def __len__(self) -> int:
        return len(self._view)

    def __getitem__(self, index: Any) -> Any:
        one = self._view[index]
        self.seen[index] = replace(one, image=None, embedding=None)
        return one

    def slices(self) -> list[Slice]:
        """All slices without image and embedding, in order; every one must have been read."""
        return [self.seen[index] for index in range(len(self))]


def by_case(slices: Iterable[Slice]) -> dict[str, list[int]]:
    """Positions of each case's slices in ascending z; cases in the order of appearance."""
    found: dict[str, list[tuple[int, int]]] = {}
    for index, one in enumerate(slices):
        found.setdefault(one.case, []).append((one.z, index))
    return {case: [index for _, index in sorted(pairs)] for case, pairs in found.items()}
