"""The `search:` key: how searched values are drawn, or how the best of them is looked for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from sweeper.config.base import Strict
from sweeper.config.search import SearchRange, every_point, find_ranges, map_ranges
from sweeper.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sweeper.config.yaml_reader import Document, Path_

Objective = Literal["source_dice", "validation_loss", "seconds"]

MAXIMISED = frozenset({"source_dice"})
"""Objectives of which more is better; of the others less is."""

_MAKES_CELLS = ("source", "target", "structure", "dataset", "encoder", "seed", "fold")


class SearchConfig(Strict):
    """How searched values that are no grid are drawn, or how the best of them is looked for."""

    samples: int = Field(
        default=1,
        ge=1,
        description="Trainings tried in every cell.",
    )
    seed: int = Field(default=0, ge=0, description="Seed of the draws, not of the trainings.")
    algorithm: Literal["grid", "random", "optuna"] | None = Field(
        default=None,
        description="None: every draw is a cell of its own. Otherwise each cell (each point of the"
        " grids) looks for its best values by source validation alone, and only the winner is"
        " trained with all `seeds` and scored. grid: every combination of the lists; random:"
        " independent draws; optuna: TPE, with several metrics multi-objective.",
    )
    scheduler: Literal["none", "asha", "hyperband", "median"] = Field(
        default="none",
        description="Which trainings are stopped before their end: by ASHA, HyperBand or the median"
        " rule.",
    )
    metric: tuple[Objective, ...] = Field(
        default=("source_dice",),
        min_length=1,
        description="What decides, all on the source: source_dice (mean Dice over its validation"
        " cases), validation_loss, seconds (training time). Several need algorithm optuna.",
    )
    grace_epochs: int = Field(
        default=5, ge=1, description="Epochs that every training gets before a scheduler stops it."
    )
    reduction: int = Field(
        default=3, ge=2, description="asha, hyperband: one of so many is trained beyond each rung."
    )

    @field_validator("metric", mode="before")
    @classmethod
    def _one_is_a_list_of_one(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One cell whose best values are looked for.

    Attributes:
        origin: Where its values stand in the document.
        tree: A trial in which only searched values are open.
        ranges: These, as found in the tree.
        variants: What differs only in the scoring: (evaluation, target) of every cell it serves.
        search: How to look.
    """

    origin: Path_
    tree: Mapping[str, Any]
    ranges: tuple[SearchRange, ...]
    variants: tuple[Mapping[str, Any], ...]
    search: SearchConfig

    def served(self, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The chosen values with every scoring that the study serves."""
        kept = {key: value for key, value in values.items() if key not in ("evaluation", "target")}
        for variant in self.variants:
            yield {**kept, **variant}

    @property
    def budget(self) -> int:
        """Trainings that may be tried: the samples, or all combinations where these are fewer."""
        most = None if self.search.algorithm == "grid" else self.search.samples
        if any(range_.options is None for range_ in every_range(self.tree)):
            return self.search.samples
        return sum(1 for _ in islice(every_point(self.tree), most))


def scoring_of(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a trial that the training does not see."""
    return {key: tree[key] for key in ("evaluation", "target") if key in tree}


def check_study(study: Study, document: Document, epochs: int) -> None:
    """Refuse a search that would not be fair, would not end, or could not be carried out.

    Args:
        study: The study.
        document: For lines.
        epochs: Of its trainings.

    Raises:
        ConfigError: Names file, line, key and what to write instead.
    """
    search = study.search
    for range_ in every_range(study.tree):
        problem = _problem_of_range(range_, search)
        if problem:
            where = document.where((*study.origin, *range_.path))
            raise ConfigError(f"{where}: {range_.key} is searched ({range_.kind}), {problem}")
    wrong = _problem_of_search(study, epochs)
    if wrong is not None:
        raise ConfigError(f"{document.where(('search', wrong[0]))}: {wrong[1]}")


def every_range(tree: Mapping[str, Any]) -> list[SearchRange]:
    """Every searched value of a tree, those inside a choice of mappings included."""
    met: dict[tuple[str, str, str], SearchRange] = {}
    for _ in corners(tree, met):
        pass
    return list(met.values())


def corners(
    tree: Mapping[str, Any], ranges: dict[tuple[str, str, str], SearchRange] | None = None
) -> Iterator[dict[str, Any]]:
    """Trials that together hold every listed value and both ends of every range.

    Args:
        tree: With searched values.
        ranges: Filled with the ranges met, by key, kind and values.
    """
    longest = 1
    i = 0
    while i < longest:
        met: list[SearchRange] = []

        def pick(range_: SearchRange, turn: int = i, met: list[SearchRange] = met) -> Any:
            met.append(range_)
            ends = range_.values if range_.kind in ("grid", "choice") else range_.values[:2]
            return ends[turn % len(ends)]

        yield map_ranges(dict(tree), pick)
        longest = max([longest, 2, *(len(range_.values) for range_ in met)])
        if ranges is not None:
            ranges.update({(r.key, r.kind, json.dumps(r.values)): r for r in met})
        i += 1


def _problem_of_range(range_: SearchRange, search: SearchConfig) -> str | None:
    path, kind = range_.path, range_.kind
    if path[0] in _MAKES_CELLS:
        return "but it makes cells of a table; write {grid: [...]} to have each of its values"
    if path[0] == "evaluation":
        return "but source validation cannot see the scoring; write {grid: [...]} instead"
    if path[:2] == ("training", "epochs"):
        return "but then trainings would have unequal budgets; fix it, or write {grid: [...]}"
    if search.algorithm == "grid" and kind in ("uniform", "loguniform"):
        return "which has no list of values; algorithm grid takes choice, randint and quniform"
    if "validation_loss" in search.metric and path[:2] in (
        ("method", "loss_weights"),
        ("method", "loss_profile"),
    ):
        return "so losses cannot be compared; set search.metric to source_dice"
    return None


def _problem_of_search(study: Study, epochs: int) -> tuple[str, str] | None:
    """The key below `search:` and what is wrong with it."""
    search = study.search
    if len(search.metric) > 1 and search.algorithm != "optuna":
        return "metric", f"names {len(search.metric)} metrics, which only algorithm optuna takes"
    if search.scheduler == "none":
        return None
    if len(search.metric) > 1:
        return "metric", (
            f"names {len(search.metric)} metrics, and scheduler {search.scheduler} compares by one;"
            " name one metric or no scheduler"
        )
    if search.metric == ("seconds",):
        return "metric", "is seconds, which no scheduler can compare; use source_dice"
    if search.grace_epochs >= epochs:
        return "grace_epochs", (
            f"is {search.grace_epochs}, and trainings end after {epochs} epochs, so that none"
            " would be stopped; lower it"
        )
    return None


def check_block(search: SearchConfig, n_studies: int, document: Document) -> None:
    """Refuse a `search:` that names how to look and has nothing to look for.

    Raises:
        ConfigError: A scheduler without an algorithm, or an algorithm without searched values.
    """
    if search.algorithm is None and search.scheduler != "none":
        raise ConfigError(
            f"{document.where(('search', 'scheduler'))}: is {search.scheduler}, and no algorithm is"
            " named; add 'algorithm: random' or 'algorithm: optuna'"
        )
    if search.algorithm is not None and not n_studies:
        raise ConfigError(
            f"{document.where(('search', 'algorithm'))}: is {search.algorithm}, and no value of the"
            " space is searched; write one as {choice: [...]} or {loguniform: [low, high]}"
        )


def study_of(
    origin: Path_, tree: dict[str, Any], document: Document, search: SearchConfig
) -> Study:
    """The study of a tree whose grids are opened."""
    return Study(
        origin=origin,
        tree=tree,
        ranges=tuple(find_ranges(tree, document, origin)),
        variants=(scoring_of(tree),),
        search=search,
    )
