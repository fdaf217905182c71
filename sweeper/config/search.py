"""Searched values: a one-key mapping such as `{grid: [0, 1]}` or `{loguniform: [1e-5, 1e-3]}`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeper.config.sources import AXES
from sweeper.errors import ConfigError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from sweeper.config.yaml_reader import Document, Path_

SEARCH_KEYS = ("grid", "choice", "uniform", "loguniform", "randint", "quniform")
"""Kinds of searched values; every one but `grid` is drawn."""


@dataclass(frozen=True, slots=True)
class SearchRange:
    """A searched value found in a space.

    Attributes:
        path: Keys from the trial's root to the value.
        kind: One of `SEARCH_KEYS`.
        values: The listed values (`grid`, `choice`) or the bounds and step.
    """

    path: Path_
    kind: str
    values: tuple[Any, ...]

    def draw(self, rng: random.Random) -> Any:
        """One value from the range, with the bounds' type (`randint` includes both ends)."""
        if self.kind in ("grid", "choice"):
            return rng.choice(self.values)
        low, high = self.values[:2]
        if self.kind == "randint":
            return rng.randint(low, high)
        if self.kind == "loguniform":
            return min(max(math.exp(rng.uniform(math.log(low), math.log(high))), low), high)
        if self.kind == "quniform":
            return self.at_step(rng.randint(0, self.n_steps))
        return rng.uniform(low, high)

    @property
    def key(self) -> str:
        """Its keys from the trial's root, such as `training.lr`."""
        return ".".join(str(part) for part in self.path)

    @property
    def options(self) -> tuple[Any, ...] | None:
        """Every value of it, in order; None for a continuous range."""
        if self.kind in ("grid", "choice"):
            return self.values
        if self.kind == "randint":
            return tuple(range(self.values[0], self.values[1] + 1))
        if self.kind == "quniform":
            return tuple(self.at_step(i) for i in range(self.n_steps + 1))
        return None

    @property
    def n_steps(self) -> int:
        """Steps of a `quniform` that lie above its lower end."""
        low, high, step = self.values
        return int((high - low) / step + 1e-9)

    def at_step(self, index: int) -> Any:
        """The value so many steps above the lower end, without the tail of binary fractions."""
        low, _, step = self.values
        value = low + index * step
        return value if isinstance(value, int) else float(f"{value:.12g}")


def is_search(value: Any) -> bool:
    """True for a mapping whose only key is a kind of searched value."""
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in SEARCH_KEYS


def find_ranges(
    tree: Any, document: Document, origin: Path_, path: Path_ = ()
) -> list[SearchRange]:
    """Every searched value of a tree, in the order written; nested ones come with their parent.

    Raises:
        ConfigError: An empty grid, bounds that are no numbers or in the wrong order.
    """
    if is_search(tree):
        kind, values = next(iter(tree.items()))
        if path == ("source",) and _is_axis(tree):
            return []
        _check(kind, values, document.where((*origin, *path, kind)), is_source=path == ("source",))
        return [SearchRange(path, kind, tuple(values))]
    if isinstance(tree, dict):
        return [r for k, v in tree.items() for r in find_ranges(v, document, origin, (*path, k))]
    return []


def _is_axis(tree: Any) -> bool:
    """True for an axis over the dataset's domains, such as `{grid: sites}`."""
    return is_search(tree) and isinstance(tree.get("grid"), str) and tree["grid"] in AXES


def _check(kind: str, values: Any, where: str, *, is_source: bool) -> None:
    if not isinstance(values, list) or not values:
        found = "is empty" if values == [] else f"is {values!r}"
        axes = f", or {' or '.join(AXES)}" if is_source and kind == "grid" else ""
        raise ConfigError(f"{where}: {found}, expected a list with at least one value{axes}")
    if kind in ("grid", "choice"):
        return
    expected = 3 if kind == "quniform" else 2
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    if not numbers or len(values) != expected:
        names = "[low, high, step]" if expected == 3 else "[low, high]"
        raise ConfigError(f"{where}: is {values!r}, expected {expected} numbers {names}")
    if expected == 3 and values[2] <= 0:
        raise ConfigError(f"{where}: is {values!r}, expected a step above 0")
    if kind == "randint" and not all(isinstance(v, int) for v in values):
        raise ConfigError(f"{where}: is {values!r}, expected two whole numbers")
    if values[0] >= values[1] or (kind == "loguniform" and values[0] <= 0):
        rule = "0 < low < high" if kind == "loguniform" else "low < high"
        raise ConfigError(f"{where}: is {values!r}, expected {rule}")


def expand_grid(tree: Any) -> Iterator[Any]:
    """Every tree with its grids replaced by their values, nested grids included.

    The first grid written varies slowest. Other searched values stay as they are, and so does an
    axis over the dataset's domains, which the plan replaces.
    """
    if _is_axis(tree):
        yield AXES[tree["grid"]].text
    elif is_search(tree) and "grid" in tree:
        for value in tree["grid"]:
            yield from expand_grid(value)
    elif isinstance(tree, dict) and not is_search(tree):
        yield from _expand_items(list(tree.items()))
    else:
        yield tree


def _expand_items(items: list[tuple[str, Any]]) -> Iterator[dict[str, Any]]:
    if not items:
        yield {}
        return
    key, value = items[0]
    for head in expand_grid(value):
        for tail in _expand_items(items[1:]):
            yield {key: head, **tail}


def draw_all(tree: Any, rng: random.Random) -> Any:
    """The tree with every searched value replaced by a draw."""
    return map_ranges(tree, lambda r: r.draw(rng))


def map_ranges(tree: Any, pick: Callable[[SearchRange], Any], path: Path_ = ()) -> Any:
    """The tree with every searched value replaced by what `pick` says, nested ones included."""
    if is_search(tree):
        kind, values = next(iter(tree.items()))
        return map_ranges(pick(SearchRange(path, kind, tuple(values))), pick, path)
    if isinstance(tree, dict):
        return {k: map_ranges(v, pick, (*path, k)) for k, v in tree.items()}
    return tree


Point = list[tuple[SearchRange, Any]]
"""The searched values of a trial: each range met, with the value picked."""


def every_point(tree: Any) -> Iterator[Point]:
    """Every combination of listed values, nested ones included; the first written varies slowest.

    Args:
        tree: Holds no continuous range.
    """
    turns: list[int] = []
    while True:
        point: Point = []

        def pick(range_: SearchRange, point: Point = point, turns: list[int] = turns) -> Any:
            turn = turns[len(point)] if len(point) < len(turns) else 0
            value = (range_.options or ())[turn]
            point.append((range_, value))
            return value

        map_ranges(tree, pick)
        yield point
        turns = [*turns, *[0] * len(point)][: len(point)]
        sizes = [len(range_.options or ()) for range_, _ in point]
        while turns and turns[-1] + 1 == sizes[len(turns) - 1]:
            turns.pop()
        if not turns:
            return
        turns[-1] += 1
