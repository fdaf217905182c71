"""What of a plan is done, missing, stale, failed or pruned."""

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
    """Where a training stands."""

    DONE = "done"
    RUNNING = "running"
    FAILED = "failed"
    PRUNED = "pruned"
    LOST = "lost"
    STALE = "stale"
    MISSING = "missing"


class Kept(Protocol):
    """What the plan asks of a training's folder; the ledger's folders answer it."""

    @property
    def train_id(self) -> str:
        """Identity of the training."""

    def config(self) -> Mapping[str, Any] | None:
        """What was trained, with its identity."""

    def fit(self) -> Mapping[str, Any] | None:
        """The finished fit, if any."""

    def failure(self) -> Failure | None:
        """Why it failed, if it did."""

    def pruned(self) -> Mapping[str, Any] | None:
        """Where it was pruned, if it was."""

    def has_evaluation(self, eval_id: str) -> bool:
        """True if a scoring has finished."""

    def lease_owner(self) -> str | None:
        """Who is at work on it now."""

    def is_lost(self) -> bool:
        """True if somebody was at work on it and is gone without a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A planned training and where it stands.

    Attributes:
        training: The training.
        state: Where it stands as a whole.
        is_trained: True if only scorings are missing.
        missing: eval_ids that are not scored.
        note: Why it is stale, how it failed, or who runs it.
    """

    training: Training
    state: State
    is_trained: bool
    missing: tuple[str, ...]
    note: str = ""


def cells_of(plan: Plan, kept: Iterable[Kept]) -> list[Cell]:
    """Every planned training with its state.

    Args:
        plan: What is wanted.
        kept: Every training folder there is, also those of other sweeps.
    """
    folders = {folder.train_id: folder for folder in kept}
    unplanned = set(folders) - {t.train_id for t in plan.trainings}
    relatives = _by_config(folders[train_id] for train_id in unplanned)
    return [
        _cell(training, folders.get(training.train_id), relatives) for training in plan.trainings
    ]


def _by_config(folders: Iterable[Kept]) -> dict[str, Mapping[str, Any]]:
    """Identities of finished trainings by their config alone."""
    found: dict[str, Mapping[str, Any]] = {}
    for folder in folders:
        description = folder.config()
        if description is not None and folder.fit() is not None:
            identity = description["identity"]
            found[canonical_json(identity["config"])] = identity
    return found


def _cell(
    training: Training, folder: Kept | None, relatives: Mapping[str, Mapping[str, Any]]
) -> Cell:
    eval_ids = tuple(e.eval_id for e in training.evaluations)
    if folder is None or folder.config() is None:
        old = relatives.get(canonical_json(training.identity["config"]))
        if old is not None:
            note = difference(dict(old), dict(training.identity))
            return _make(training, State.STALE, False, eval_ids, note)
        return _make(training, State.MISSING, False, eval_ids)
    missing = tuple(e for e in eval_ids if not folder.has_evaluation(e))
    is_trained = folder.fit() is not None
    if is_trained and not missing:
        return _make(training, State.DONE, True, ())
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
        note = "its worker is gone; the same command goes on from its checkpoint"
        return _make(training, State.LOST, is_trained, missing, note)
    return _make(training, State.MISSING, is_trained, missing)


def _make(
    training: Training, state: State, is_trained: bool, missing: tuple[str, ...], note: str = ""
) -> Cell:
    return Cell(training=training, state=state, is_trained=is_trained, missing=missing, note=note)
