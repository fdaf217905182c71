"""How the trainings of a search are run: each to its end, by halving, or as a population.

A course hands out steps and learns how they ended; it knows neither Ray nor files. It decides by
what it is told alone, so that the same answers lead to the same decisions: a search that was killed
is gone on with by asking again and answering from the trainings' folders.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from sweeper.config.search_algorithm import MAXIMISED
from sweeper.records import TrialStatus
from sweeper.search.proposals import Verdict

if TYPE_CHECKING:
    from sweeper.config.search_algorithm import SearchConfig, Study
    from sweeper.plan.expand import Training
    from sweeper.records import TrialOutcome
    from sweeper.search.proposals import Proposal, Proposals

Train = Callable[[Mapping[str, Any]], "Training"]
"""The training of a trial's values, checked and with its identity."""

Epochs = Sequence[Mapping[str, Any]]
"""Records of epochs: `epoch`, `validation_loss`, `source_dice`, `seconds`; nothing of a target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A stretch of a training to be run now.

    Attributes:
        number: Of the proposal, or of the population's member.
        training: What to train; never scored on a target.
        until: Epochs to have at its end; None: all.
        start_from: (train_id, epochs) of another training's pause to go on from.
    """

    number: int
    training: Training
    until: int | None = None
    start_from: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a step ended.

    Attributes:
        outcome: The worker's, or `PRUNED`: a scheduler stopped it.
        epochs: Every epoch's record so far, of what it went on from included.
    """

    outcome: TrialOutcome
    epochs: Epochs


@dataclass(slots=True, kw_only=True)
class Tried:
    """A training of a search, as the search's record keeps it.

    Attributes:
        number: Of the proposal.
        training: The training.
        values: Searched values by key.
        state: Where it stands.
        epochs: Epochs that it has.
        first_epoch: Epochs of them that another training made.
        inherited: Their records.
        objectives: One number a metric, at the selected epoch.
    """

    number: int
    training: Training
    values: Mapping[str, Any]
    state: TrialStatus = TrialStatus.BEGUN
    epochs: int = 0
    first_epoch: int = 0
    inherited: Epochs = ()
    objectives: tuple[float, ...] | None = None


class Course(Protocol):
    """Decides which step is run next."""

    tried: list[Tried]

    @property
    def is_finished(self) -> bool:
        """True if no step runs or will be run any more."""

    def next_step(self) -> Step | None:
        """A step that can be run now, or None: there is none before others end."""

    def ended(self, step: Step, how: Ended) -> list[Tried]:
        """A step has ended; the trainings that are given up now, before their end."""


def objectives(metrics: Sequence[str], epochs: Epochs) -> tuple[float, ...] | None:
    """The metrics of the checkpoint that source validation selects; None without an epoch.

    Args:
        metrics: Names of `search.metric`.
        epochs: Records with `validation_loss`, `source_dice` and `seconds`.
    """
    if not epochs:
        return None
    best = min(epochs, key=lambda record: record["validation_loss"])
    total = sum(record["seconds"] for record in epochs)
    return tuple(total if name == "seconds" else float(best[name]) for name in metrics)


def merit(search: SearchConfig, values: tuple[float, ...] | None) -> float:
    """The first objective with a sign so that more is better; minus infinity for none."""
    if values is None or math.isnan(values[0]):
        return -math.inf
    return values[0] if search.metric[0] in MAXIMISED else -values[0]


def searched_values(study: Study, values: Mapping[str, Any]) -> dict[str, Any]:
    """The searched values of a trial by their keys, in the order written."""
    found = {}
    for one in study.ranges:
        place: Any = values
        for part in one.path:
            place = place.get(part) if isinstance(place, dict) else None
        found[".".join(str(part) for part in one.path)] = place
    return found


@dataclass(slots=True, kw_only=True)
class PlainCourse:
    """Every proposal is trained to its end, unless a scheduler of Ray's stops it.

    Attributes:
        study: What is searched.
        proposals: Where values come from.
        train: The training of a trial's values.
        tried: Every training so far.
    """

    study: Study
    proposals: Proposals
    train: Train
    tried: list[Tried] = field(default_factory=list)
    _twins: dict[str, list[int]] = field(default_factory=dict)
    _running: int = 0
    _is_exhausted: bool = False

    @property
    def is_finished(self) -> bool:
        """True if all has been proposed and has ended."""
        return self._is_exhausted and not self._running

    def next_step(self) -> Step | None:
        """The next proposal that is a training of its own."""
        while not self._is_exhausted:
            proposal = self.proposals.propose()
            if proposal is None:
                self._is_exhausted = True
                return None
            training = self.train(proposal.values)
            twin = next((t for t in self.tried if t.training.train_id == training.train_id), None)
            if twin is None:
                self._running += 1
                self.tried.append(begun(self.study, proposal, training))
                return Step(number=proposal.number, training=training)
            if twin.state is TrialStatus.BEGUN:
                self._twins.setdefault(training.train_id, []).append(proposal.number)
            else:
                self.proposals.tell(proposal.number, verdict(twin))
        return None

    def ended(self, step: Step, how: Ended) -> list[Tried]:
        """Note the outcome and tell the proposals, those of the same values too."""
        self._running -= 1
        one = next(t for t in self.tried if t.number == step.number)
        note(one, self.study.search, how)
        for number in (step.number, *self._twins.pop(step.training.train_id, [])):
            self.proposals.tell(number, verdict(one))
        return [one] if one.state is TrialStatus.PRUNED else []


def begun(study: Study, proposal: Proposal, training: Training) -> Tried:
    """The record of a proposal that is now run."""
    return Tried(
        number=proposal.number,
        training=training,
        values=searched_values(study, proposal.values),
    )


def note(one: Tried, search: SearchConfig, how: Ended) -> None:
    """Put down how a step ended."""
    own = [record for record in how.epochs if record["epoch"] >= one.first_epoch]
    epochs = [*one.inherited, *own]
    one.epochs = len(epochs)
    one.objectives = objectives(search.metric, epochs)
    one.state = one.state.after(how.outcome)
    if one.state is TrialStatus.FAILED:
        one.objectives = None


def verdict(one: Tried) -> Verdict:
    """What its proposals are told of a training."""
    return Verdict(state=one.state, objectives=one.objectives, epochs=one.epochs)
