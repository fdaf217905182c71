"""Searched values as Optuna's parameters: named by their keys, with values that people can read."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

from sweeper.config.search import SearchRange, every_point, map_ranges
from sweeper.config.search_algorithm import every_range

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from optuna.trial import Trial

    from sweeper.config.search_algorithm import Study


class Parameters:
    """The parameters of a study.

    Args:
        study: What is searched.
    """

    def __init__(self, study: Study) -> None:
        self._tree = dict(study.tree)
        keys = [range_.key for range_ in every_range(self._tree)]
        self._ambiguous = {key for key in keys if keys.count(key) > 1}

    def suggested(self, trial: Trial) -> dict[str, Any]:
        """A training's values: those that the trial holds already, the others from its sampler."""
        return self._filled(lambda range_: _suggest(trial, self._name(range_), range_))

    def values(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The training's values that a trial's parameters stand for."""
        return self._filled(lambda range_: _value(range_, params[self._name(range_)]))

    def point(self, index: int) -> dict[str, Any]:
        """Parameters of one of all combinations of listed values."""
        point = next(islice(every_point(self._tree), index, None))
        return {self._name(range_): label(value) for range_, value in point}

    def _filled(self, pick: Callable[[SearchRange], Any]) -> dict[str, Any]:
        filled: dict[str, Any] = map_ranges(self._tree, pick)
        return filled

    def _name(self, range_: SearchRange) -> str:
        """The key; where choices of mappings bring several ranges of one key, with its values."""
        if range_.key not in self._ambiguous:
            return range_.key
        return f"{range_.key} {range_.kind} {json.dumps(range_.values)}"


def label(value: Any) -> Any:
    """A choice as Optuna keeps it: numbers and words as they are, mappings and lists as text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return json.dumps(value).replace('"', "")


def _suggest(trial: Trial, name: str, range_: SearchRange) -> Any:
    kind, bounds = range_.kind, range_.values
    if kind in ("grid", "choice"):
        suggested = trial.suggest_categorical(name, [label(value) for value in range_.values])
    elif kind == "randint":
        suggested = trial.suggest_int(name, *bounds)
    elif kind == "quniform":
        highest = range_.at_step(range_.n_steps)
        suggested = trial.suggest_float(name, bounds[0], highest, step=bounds[2])
    else:
        suggested = trial.suggest_float(name, *bounds, log=kind == "loguniform")
    return _value(range_, suggested)


def _value(range_: SearchRange, parameter: Any) -> Any:
    if range_.kind in ("grid", "choice"):
        return next(value for value in range_.values if label(value) == parameter)
    if range_.kind == "quniform":
        low, _, step = range_.values
        return range_.at_step(round((parameter - low) / step))
    return parameter
