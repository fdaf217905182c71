"""Population based training as a course of steps."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sweeper.records import TrialOutcome, TrialStatus
from sweeper.search.courses import (
    Ended,
    Epochs,
    Step,
    Train,
    Tried,
    begun,
    merit,
    note,
    searched_values,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweeper.config.search import SearchRange
    from sweeper.config.search_algorithm import Study
    from sweeper.search.proposals import Proposals

_SHARE = 4
"""One of so many members is replaced, and one of so many is copied (Jaderberg et al., 2017)."""
_FACTORS = (0.8, 1.2)
_REDRAWN = 0.25  # probability that a value is drawn anew instead of moved
_TRIES = 20


@dataclass(slots=True, kw_only=True)
class _Member:
    """One of the population.

    Attributes:
        tried: Its present training.
        values: The trial's values, changes on the way included.
        current: Searched values that hold now, by key.
        start_from: Where its present training goes on from.
        epochs: Records of its present training, those of the training it goes on from included.
    """

    tried: Tried
    values: Mapping[str, Any]
    current: dict[str, Any]
    start_from: tuple[str, int] | None = None
    epochs: Epochs = ()


@dataclass(slots=True, kw_only=True)
class PopulationCourse:
    """Population based training (Jaderberg et al., 2017), synchronous.

    Every `interval` epochs the worst quarter goes on from the weights of the best quarter with
    changed values. What wins is a training whose values change at named epochs: an ordinary
    training with an identity of its own, which can be trained again from the start with any seed.

    Deviation: Ray's scheduler of that name changes a running trial's config, so that no config
    says what was trained; and its decisions hang on who is first. Here they follow from the seed
    and the source validation alone.

    Attributes:
        study: What is searched.
        proposals: Where the first values come from.
        train: The training of a trial's values.
        epochs: Of a whole training.
        tried: Every training so far.
    """

    study: Study
    proposals: Proposals
    train: Train
    epochs: int
    tried: list[Tried] = field(default_factory=list)
    is_finished: bool = False
    _members: list[_Member] = field(default_factory=list)
    _waiting: list[_Member] = field(default_factory=list)
    _running: int = 0
    _generation: int = 0

    def next_step(self) -> Step | None:
        """The stretch of a member that has not run in this generation."""
        if not self._members:
            self._fill()
        if self.is_finished or not self._waiting:
            return None
        member = self._waiting.pop(0)
        self._running += 1
        return Step(
            number=self._members.index(member),
            training=member.tried.training,
            until=self._until,
            start_from=member.start_from,
        )

    @property
    def _until(self) -> int:
        return min((self._generation + 1) * self.study.search.interval, self.epochs)

    def ended(self, step: Step, how: Ended) -> list[Tried]:
        """Note the outcome; when a generation is complete, the worst learn from the best."""
        member = self._members[step.number]
        note(member.tried, self.study.search, how)
        own = [r for r in how.epochs if r["epoch"] >= member.tried.first_epoch]
        member.epochs = [*member.tried.inherited, *own]
        self._running -= 1
        if self._running or self._waiting:
            return []
        alive = [m for m in self._members if m.tried.state is not TrialStatus.FAILED]
        if self._until == self.epochs or not alive:
            self.is_finished = True
            return []
        given_up = self._evolve(alive)
        self._generation += 1
        self._waiting = list(self._members)
        return given_up

    def _fill(self) -> None:
        for _ in range(self.study.search.samples):
            proposal = self.proposals.propose()
            if proposal is None:
                break
            one = begun(self.study, proposal, self.train(proposal.values))
            self.tried.append(one)
            current = searched_values(self.study, proposal.values)
            self._members.append(_Member(tried=one, values=proposal.values, current=current))
        self._waiting = list(self._members)
        self.is_finished = not self._members

    def _evolve(self, alive: list[_Member]) -> list[Tried]:
        search = self.study.search
        rng = random.Random(f"{search.seed} {self._generation}")
        order = sorted(
            self._members,
            key=lambda m: (-merit(search, m.tried.objectives), self._members.index(m)),
        )
        count = max(1, len(order) // _SHARE)
        best = [m for m in order[:count] if m in alive]
        given_up = []
        for loser in order[-count:]:
            donor = rng.choice(best)
            if donor is loser:
                continue
            if loser.tried.state is TrialStatus.BEGUN:
                loser.tried.state = loser.tried.state.after(TrialOutcome.PRUNED)
                given_up.append(loser.tried)
            self._replace(loser, donor, rng)
        return given_up

    def _replace(self, loser: _Member, donor: _Member, rng: random.Random) -> None:
        """The loser goes on from the donor's weights with values near the donor's."""
        known = {one.training.train_id for one in self.tried}
        for _ in range(_TRIES):
            current = {
                key: _moved(one, donor.current[key], rng)
                for key, one in zip(donor.current, self.study.ranges, strict=True)
            }
            values = _with_changes(donor.values, donor.current, current, self._until)
            training = self.train(values)
            if training.train_id not in known:
                break
        else:
            return
        number = len(self.tried)
        one = Tried(
            number=number,
            training=training,
            values=current,
            first_epoch=self._until,
            inherited=donor.epochs,
        )
        self.tried.append(one)
        loser.start_from = (donor.tried.training.train_id, self._until)
        loser.tried, loser.values, loser.current = one, values, current


def _with_changes(
    values: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any], epoch: int
) -> dict[str, Any]:
    training = dict(values.get("training", {}))
    changed = [[epoch, key, value] for key, value in new.items() if value != old[key]]
    training["changes"] = [*training.get("changes", []), *changed]
    return {**values, "training": training}


def _moved(one: SearchRange, value: Any, rng: random.Random) -> Any:
    """A value near the old one, or sometimes any other."""
    if rng.random() < _REDRAWN:
        return _short(one.draw(rng))
    if one.kind in ("choice", "grid", "quniform", "randint"):
        listed = _listed(one)
        position = listed.index(value) + rng.choice((-1, 1))
        return listed[min(max(position, 0), len(listed) - 1)]
    low, high = one.values[:2]
    return _short(min(max(value * rng.choice(_FACTORS), low), high))


def _listed(one: SearchRange) -> list[Any]:
    if one.kind == "randint":
        return list(range(one.values[0], one.values[1] + 1))
    if one.kind == "quniform":
        return [one.at_step(i) for i in range(one.n_steps + 1)]
    return list(one.values)


def _short(value: Any) -> Any:
    """A number that a person can read and write back."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
