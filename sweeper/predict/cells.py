"""Finds the models that a user names: train ids, `method=desam source=A-ISBI`, model folders."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.config.problems import matching_key, nearest
from sweeper.config.trial import EvaluationConfig, flatten
from sweeper.errors import DataError
from sweeper.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sweeper.store.ledger import TrainingFolder
    from sweeper.store.workspace import Workspace

MODEL_FILE = "model.json"
"""The file by which an exported model folder is recognised."""

HELP = (
    "a train id (see `sweeper status`), conditions such as method=desam source=A-ISBI seed=0, or a"
    " folder that `sweeper export` wrote; several of them, or conditions that leave only seeds and"
    " folds open, are an ensemble"
)
"""What a CELL is, for messages and help texts."""

_TRAIN_ID = re.compile(r"[0-9a-f]{12}")
_MEMBERS = ("seed", "fold")
"""Keys in which the members of an ensemble may differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedModels:
    """The models that a user named.

    Attributes:
        trainings: Finished trainings of the workspace.
        folders: Exported model folders.
        evaluation: Evaluation settings among the conditions, such as `{"grid_size": "5"}`.
    """

    trainings: tuple[TrainingFolder, ...] = ()
    folders: tuple[Path, ...] = ()
    evaluation: Mapping[str, Any] = field(default_factory=dict)


def split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words that name models, which come first, and the rest.

    A word may contain several conditions, as `"method=desam source=A-ISBI"` does in quotes.
    """
    cells: list[str] = []
    for position, word in enumerate(words):
        if _is_condition(word):
            cells += word.split()
        elif _is_model(word):
            cells.append(word)
        else:
            return cells, list(words[position:])
    return cells, []


def find_models(
    workspace: Workspace, cells: Sequence[str], among: Collection[str] | None = None
) -> NamedModels:
    """The models that the words of a CELL name.

    Args:
        workspace: With the trainings.
        cells: The words, such as `method=desam`.
        among: The train ids that conditions may choose from; None for all of the workspace.

    Raises:
        DataError: A word names nothing, or the conditions match nothing or different trainings.
    """
    if not cells:
        raise DataError(f"no model is named; name {HELP}")
    ledger = Ledger(workspace.trainings)
    conditions = [cell for cell in cells if _is_condition(cell)]
    trainings, folders = [], []
    for cell in cells:
        if cell in conditions:
            continue
        if (Path(cell) / MODEL_FILE).is_file():
            folders.append(Path(cell))
        elif ledger.folder(cell).config() is not None:
            trainings.append(ledger.folder(cell))
        else:
            raise DataError(f"{cell!r} is not a model of {workspace.root}; name {HELP}")
    evaluation = {
        key: _number(value) for key, value in map(_parts, conditions) if key in _EVALUATION
    }
    selecting = [c for c in conditions if _parts(c)[0] not in _EVALUATION]
    if selecting:
        trainings += _matching(ledger, selecting, among)
    return NamedModels(trainings=tuple(trainings), folders=tuple(folders), evaluation=evaluation)


_EVALUATION = frozenset(EvaluationConfig.model_fields)


def _is_condition(word: str) -> bool:
    return bool(word) and all(re.fullmatch(r"[\w.]+=\S+", part) for part in word.split())


def _is_model(word: str) -> bool:
    is_id = _TRAIN_ID.fullmatch(word) is not None and not Path(word).exists()
    return is_id or (Path(word) / MODEL_FILE).is_file()


def _parts(condition: str) -> tuple[str, str]:
    key, _, value = condition.partition("=")
    return key.removeprefix("evaluation."), value


def _number(text: str) -> int | float | str:
    """The number that a text is, or the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _matching(
    ledger: Ledger, conditions: Sequence[str], among: Collection[str] | None
) -> list[TrainingFolder]:
    """The finished trainings that fulfil all conditions and differ only in seed and fold."""
    values: dict[str, dict[str, str]] = {}
    for folder in ledger:
        if among is not None and folder.train_id not in among:
            continue
        description = folder.config()
        if description is not None and folder.fit() is not None:
            values[folder.train_id] = flatten(description["config"])
    if not values:
        raise DataError(
            f"{ledger.root.parent} has no finished training; make one: sweeper run SPACE"
        )
    for condition in conditions:
        key, wanted = _parts(condition)
        full = _full_key(key, sorted({name for one in values.values() for name in one}))
        present = sorted({one.get(full, "") for one in values.values()})
        values = {train_id: one for train_id, one in values.items() if one.get(full) == wanted}
        if not values:
            raise DataError(
                f"no finished training has {condition}{nearest(wanted, present)}; with the other"
                f" conditions there are {', '.join(present)}"
            )
    _require_one_cell(values)
    return [ledger.folder(train_id) for train_id in values]


def _full_key(key: str, known: list[str]) -> str:
    """The full name of a key, such as `method.ablation` for `ablation`."""
    if key == "method":
        return "method.name"
    try:
        return matching_key(key, known)
    except ValueError as err:
        raise DataError(
            f"{key!r} {err}; use method, source, seed, ablation or one of {', '.join(known)}"
        ) from err


def _require_one_cell(values: Mapping[str, Mapping[str, str]]) -> None:
    """Raise unless the trainings differ only in seed and fold.

    Raises:
        DataError: Names what they differ in.
    """
    differing = {
        key: sorted({one.get(key, "") or "none" for one in values.values()})
        for key in sorted({key for one in values.values() for key in one})
        if key not in _MEMBERS and not key.startswith("evaluation.")
    }
    differing = {key: found for key, found in differing.items() if len(found) > 1}
    if "method.name" in differing:  # then their options differ too
        methods = {"method": differing["method.name"]}
        differing = methods | {k: v for k, v in differing.items() if not k.startswith("method.")}
    if differing:
        what = "; ".join(f"{key}: {', '.join(found)}" for key, found in differing.items())
        key, found = next(iter(differing.items()))
        raise DataError(
            f"{len(values)} trainings fulfil the conditions, and differ in more than seed and fold"
            f" ({what}); add a condition, such as {key}={found[-1]}"
        )
    members = [tuple(one.get(key, "") for key in _MEMBERS) for one in values.values()]
    if len(set(members)) < len(members):
        raise DataError(
            f"trainings {', '.join(values)} have the same settings and seed, but other data or"
            " code; name one of them by its train id"
        )
