"""HyperBand as a course of steps."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sweeper.records import TrialOutcome, TrialStatus
from sweeper.search.courses import Ended, Step, Train, Tried, begun, merit, note, verdict

if TYPE_CHECKING:
    from sweeper.config.search_algorithm import Study
    from sweeper.search.proposals import Proposals


@dataclass(slots=True, kw_only=True)
class _Bracket:
    """Some proposals and the epochs at which they are compared.

    Attributes:
        size: Proposals it begins with.
        rungs: (epochs to have, how many get there).
        members: Those still in.
        waiting: Those whose next stretch has not begun.
        rung: Index of the rung being run.
        running: Steps that have not ended.
    """

    size: int
    rungs: list[tuple[int, int]]
    members: list[Tried] = field(default_factory=list)
    waiting: list[Tried] = field(default_factory=list)
    rung: int = 0
    running: int = 0
    is_filled: bool = False
    is_over: bool = False


@dataclass(slots=True, kw_only=True)
class HyperBandCourse:
    """HyperBand (Li et al., 2018), synchronous: all of a rung are compared at once.

    Ray's scheduler of that name forgets its brackets with the process, and pauses through
    checkpoints of Tune's own; here a pause is a step that ended, and the brackets follow from the
    order of the proposals.

    Attributes:
        study: What is searched.
        proposals: Where values come from.
        train: The training of a trial's values.
        epochs: Of a whole training.
        tried: Every training so far.
    """

    study: Study
    proposals: Proposals
    train: Train
    epochs: int
    tried: list[Tried] = field(default_factory=list)
    _brackets: list[_Bracket] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Cut the samples into brackets."""
        search = self.study.search
        sizes = bracket_rungs(self.epochs, search.grace_epochs, search.reduction)
        left, turn = search.samples, 0
        while left > 0:
            rungs = sizes[turn % len(sizes)]
            size = min(rungs[0][1], left)
            self._brackets.append(_Bracket(size=size, rungs=rungs))
            left -= size
            turn += 1

    @property
    def is_finished(self) -> bool:
        """True if every bracket is over."""
        return all(bracket.is_over for bracket in self._brackets)

    def next_step(self) -> Step | None:
        """A step of the first bracket that has one."""
        for bracket in self._brackets:
            if bracket.is_over:
                continue
            self._fill(bracket)
            if bracket.waiting:
                one = bracket.waiting.pop(0)
                bracket.running += 1
                return Step(
                    number=one.number,
                    training=one.training,
                    until=bracket.rungs[bracket.rung][0],
                )
        return None

    def ended(self, step: Step, how: Ended) -> list[Tried]:
        """Note the outcome; when a rung is complete, its best go on and the others are given up."""
        bracket = next(b for b in self._brackets if any(m.number == step.number for m in b.members))
        one = next(m for m in bracket.members if m.number == step.number)
        note(one, self.study.search, how)
        bracket.running -= 1
        if one.state in (TrialStatus.COMPLETED, TrialStatus.FAILED):
            self.proposals.tell(one.number, verdict(one))
        if bracket.running or bracket.waiting:
            return []
        return self._close_rung(bracket)

    def _close_rung(self, bracket: _Bracket) -> list[Tried]:
        search = self.study.search
        alive = [m for m in bracket.members if m.state is TrialStatus.BEGUN]
        alive.sort(key=lambda m: (-merit(search, m.objectives), m.number))
        bracket.rung += 1
        bracket.is_over = bracket.rung == len(bracket.rungs) or not alive
        goes_on = (
            []
            if bracket.is_over
            else alive[: max(1, bracket.size // search.reduction**bracket.rung)]
        )
        given_up = [m for m in alive if m not in goes_on]
        for one in given_up:
            one.state = one.state.after(TrialOutcome.PRUNED)
            self.proposals.tell(one.number, verdict(one))
        bracket.waiting = sorted(goes_on, key=lambda m: m.number)
        return given_up

    def _fill(self, bracket: _Bracket) -> None:
        """Ask for the bracket's proposals; the same training twice counts once."""
        if bracket.is_filled:
            return
        bracket.is_filled = True
        for _ in range(bracket.size):
            proposal = self.proposals.propose()
            if proposal is None:
                break
            one = begun(self.study, proposal, self.train(proposal.values))
            twin = next(
                (t for t in self.tried if t.training.train_id == one.training.train_id), None
            )
            if twin is not None:
                self.proposals.tell(one.number, replace(verdict(twin), state=TrialStatus.FAILED))
                continue
            self.tried.append(one)
            bracket.members.append(one)
        bracket.waiting = list(bracket.members)
        bracket.is_over = not bracket.members


def bracket_rungs(epochs: int, grace: int, reduction: int) -> list[list[tuple[int, int]]]:
    """HyperBand's brackets, the one that halves most first: (epochs to have, how many) a rung.

    Args:
        epochs: Of a whole training.
        grace: The least epochs of a first rung.
        reduction: One of so many goes on.
    """
    most = int(math.log(epochs / grace) / math.log(reduction) + 1e-9)
    brackets = []
    for s in range(most, -1, -1):
        n = math.ceil((most + 1) / (s + 1) * reduction**s)
        brackets.append(
            [
                (
                    epochs if i == s else max(grace, round(epochs / reduction ** (s - i))),
                    max(1, n // reduction**i),
                )
                for i in range(s + 1)
            ]
        )
    return brackets
