"""States of the planned trainings: done, running, failed, pruned, stale or missing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from sweeper.plan.identity import canonical_json, difference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sweeper.plan.expand import Plan, Training
    from sweeper.records import Failure


class State(StrEnum):
    """State of a training."""

    DONE = "done"
    RUNNING = "running"
    FAILED = "failed"
    PRUNED = "pruned"
    LOST = "lost"
    STALE = "stale"
    MISSING = "missing"


class TrainingRecords(Protocol):
    """The records of a training that the plan reads; the folders of the ledger implement it."""

    @property
    def train_id(self) -> str:
        """Identity of the training."""

    def config(self) -> Mapping[str, Any] | None:
        """Config and identity of the training, if it has started."""

    def fit(self) -> Mapping[str, Any] | None:
        """Record of the finished fit, if any."""

    def failure(self) -> Failure | None:
        """Record of the failure, if it failed."""

    def pruned(self) -> Mapping[str, Any] | None:
        """Record of the pruning, if it was pruned."""

    def has_evaluation(self, eval_id: str) -> bool:
        """True if the evaluation has finished."""

    def lease_owner(self) -> str | None:
        """The process that runs it now, or None."""

    def is_lost(self) -> bool:
        """True if the process that ran it disappeared without a record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A planned training and its state.

    Attributes:
        training: The training.
        state: State of the training with its evaluations.
        is_trained: True if at most evaluations are missing.
        missing: eval_ids of the missing evaluations.
        note: The reason for the state, such as the failure, or the process that runs it.
    """

    training: Training
    state: State
    is_trained: bool
    missing: tuple[str, ...]
    note: str = ""


def cells_of(plan: Plan, recorded: Iterable[TrainingRecords]) -> list[Cell]:
    """Every planned training with its state.

    Args:
        plan: The plan.
        recorded: The records of all trainings in the workspace, including other sweeps.
    """
    folders = {folder.train_id: folder for folder in recorded}
    unplanned = set(folders) - {t.train_id for t in plan.trainings}
    relatives = _by_config(folders[train_id] for train_id in unplanned)
    return [
        _cell(training, folders.get(training.train_id), relatives) for training in plan.trainings
    ]


def _by_config(folders: Iterable[TrainingRecords]) -> dict[str, Mapping[str, Any]]:
    """Identities of finished trainings by their config only."""
    identities: dict[str, Mapping[str, Any]] = {}
    for folder in folders:
        description = folder.config()
        if description is not None and folder.fit() is not None:
            identity = description["identity"]
            identities[canonical_json(identity["config"])] = identity
    return identities


def _cell(
    training: Training, folder: TrainingRecords | None, relatives: Mapping[str, Mapping[str, Any]]
) -> Cell:
    # no record: stale if a training with the same config exists, otherwise missing
    eval_ids = tuple(e.eval_id for e in training.evaluations)
    if folder is None or folder.config() is None:
        old = relatives.get(canonical_json(training.identity["config"]))
        if old is not None:
            note = difference(dict(old), dict(training.identity))
            return _make(training, State.STALE, False, eval_ids, note)
        return _make(training, State.MISSING, False, eval_ids)
    # done
    missing = tuple(e for e in eval_ids if not folder.has_evaluation(e))
    is_trained = folder.fit() is not None
    if is_trained and not missing:
        return _make(training, State.DONE, True, ())
    # not done: running, failed, pruned, lost or missing
    owner = folder.lease_owner()
    if owner is not None:
        return _make(training, State.RUNNING, is_trained, missing, f"run by {owner}")
    failure, pruned = folder.failure(), folder.pruned()
    if failure is not None:
        note = f"{failure.reason}: {failure.message}"
        return _make(training, State.FAILED, is_trained, missing, note)
    if pruned is not None:
        return _make(training, State.PRUNED, False, missing, f"at epoch {pruned['epoch']}")
    if folder.is_lost():
        note = "its worker disappeared; run the same command again to resume from its checkpoint"
        return _make(training, State.LOST, is_trained, missing, note)
    return _make(training, State.MISSING, is_trained, missing)


def _make(
    training: Training, state: State, is_trained: bool, missing: tuple[str, ...], note: str = ""
) -> Cell:
    return Cell(training=training, state=state, is_trained=is_trained, missing=missing, note=note)
