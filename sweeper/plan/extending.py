"""Which missing trainings can continue a finished one of fewer epochs, and why others cannot."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sweeper.plan.identity import canonical_json
from sweeper.plan.states import State, TrainingRecords

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sweeper.config.trial import TrainingConfig
    from sweeper.plan.expand import Training
    from sweeper.plan.states import Cell


class ExtensibleRecords(TrainingRecords, Protocol):
    """The records of a training, and if it has the state that more epochs start from."""

    def has_state(self) -> bool:
        """True if the state after its last epoch exists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """A finished training of fewer epochs, otherwise equal to a missing one.

    Attributes:
        train_id: Identity of the finished training.
        epochs: Its epochs.
        obstacle: Why it cannot be continued; empty if it can.
    """

    train_id: str
    epochs: int
    obstacle: str = ""


def find_extensions(
    cells: Iterable[Cell], recorded: Iterable[ExtensibleRecords]
) -> dict[str, Extension]:
    """Train id of a missing training -> the finished one of fewer epochs; the longest possible.

    Args:
        cells: The planned trainings with their states.
        recorded: The records of all trainings in the workspace.
    """
    missing = [c.training for c in cells if c.state is State.MISSING and not c.is_trained]
    if not missing:
        return {}
    finished: dict[str, list[ExtensibleRecords]] = {}
    for folder in recorded:
        description = folder.config()
        if description is not None and folder.fit() is not None:
            finished.setdefault(_without_epochs(description["identity"]), []).append(folder)
    found = {}
    for training in missing:
        extensions = [
            _extension(training, folder)
            for folder in finished.get(_without_epochs(training.identity), ())
            if _epochs(folder) < training.config.training.epochs
        ]
        if extensions:
            found[training.train_id] = max(extensions, key=lambda e: (not e.obstacle, e.epochs))
    return found


def _extension(training: Training, folder: ExtensibleRecords) -> Extension:
    epochs = _epochs(folder)
    description, fit = folder.config() or {}, folder.fit() or {}
    config = training.config.training
    before = description["config"].get("training", {})
    obstacle = ""
    if not has_same_rates(config, epochs):
        obstacle = (
            f"the learning rate decays over all epochs (lr_decay: {config.lr_decay}), so the first"
            f" {epochs} of {config.epochs} have other rates"
        )
    elif fit.get("remedy") or any(
        before.get(key, False) != getattr(config, key) for key in ("compile", "channels_last")
    ):
        obstacle = "it ran with other settings that change the rounding"
    elif not folder.has_state():
        obstacle = "its checkpoint last.pt was removed (sweeper clean, sweeper merge)"
    return Extension(train_id=folder.train_id, epochs=epochs, obstacle=obstacle)


def has_same_rates(config: TrainingConfig, epochs: int) -> bool:
    """True if the first epochs have the rates that they have in a training of only these."""
    return config.lr_decay == "constant" or epochs <= config.constant_epochs + 1


def _epochs(folder: ExtensibleRecords) -> int:
    return len((folder.fit() or {}).get("epochs", ()))


def _without_epochs(identity: Mapping[str, Any]) -> str:
    """The identity of all trainings that differ in the number of epochs only."""
    values = copy.deepcopy(dict(identity))
    values["config"].get("training", {}).pop("epochs", None)
    return canonical_json(values)
