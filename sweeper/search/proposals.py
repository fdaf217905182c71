"""Where the values of a search come from: a grid, random draws, or Optuna."""

from __future__ import annotations

import json
import random
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sweeper.config.search import draw_all, map_ranges
from sweeper.config.search_algorithm import MAXIMISED
from sweeper.records import TrialStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sweeper.config.search import SearchRange
    from sweeper.config.search_algorithm import Study

_NEW_DRAWS = 100
"""Draws after which a space of few values counts as exhausted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Values to try.

    Attributes:
        number: 0-based, in the order proposed; the same again when a search is gone on with.
        values: A trial without searched values.
    """

    number: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a proposal did, by the source alone.

    Attributes:
        state: Where it stands: not `BEGUN` any more.
        objectives: One number a metric; of a pruned training those at its last epoch; None: failed.
        epochs: Epochs trained.
    """

    state: TrialStatus
    objectives: tuple[float, ...] | None
    epochs: int


class Proposals(Protocol):
    """Hands out values to try, the ones handed out in an interrupted run first."""

    def propose(self) -> Proposal | None:
        """The next values; None when there are no more."""

    def tell(self, number: int, verdict: Verdict) -> None:
        """How a proposal did; said twice, it counts once."""


class GridProposals:
    """Every combination of the lists, in the order written."""

    def __init__(self, study: Study) -> None:
        self._points = enumerate(study.every_point())

    def propose(self) -> Proposal | None:
        """The next combination."""
        number, values = next(self._points, (-1, None))
        return None if values is None else Proposal(number=number, values=values)

    def tell(self, number: int, verdict: Verdict) -> None:
        """A grid does not learn."""


class RandomProposals:
    """Independent draws; a combination that was drawn before is drawn again.

    The first draws are the same however many are asked for, so that more samples extend a search,
    and the same in every study of equal ranges, so that no method has luckier draws.
    """

    def __init__(self, study: Study) -> None:
        self._draws = enumerate(_distinct(study))
        self._left = study.search.samples

    def propose(self) -> Proposal | None:
        """The next draw."""
        if not self._left:
            return None
        self._left -= 1
        number, values = next(self._draws, (-1, None))
        return None if values is None else Proposal(number=number, values=values)

    def tell(self, number: int, verdict: Verdict) -> None:
        """Chance does not learn."""


def _distinct(study: Study) -> Iterator[dict[str, Any]]:
    rng, seen = random.Random(study.search.seed), set()
    while True:
        for _ in range(_NEW_DRAWS):
            values: dict[str, Any] = draw_all(dict(study.tree), rng)
            key = json.dumps(values, sort_keys=True)
            if key not in seen:
                break
        else:
            return
        seen.add(key)
        yield values


class OptunaProposals:
    """Optuna's TPE; its memory is a study in a database of ours, so that a search can go on.

    Args:
        study: What to search.
        storage: URL of the database, such as `sqlite:///FILE`; None keeps nothing.
        name: Of the study in it.
    """

    def __init__(self, study: Study, storage: str | None, name: str) -> None:
        import optuna  # costs a second, and only this algorithm needs it

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        search = study.search
        self._tree, self._left = dict(study.tree), search.samples
        # an engine such as RDBStorage needs no lock of ours: the driver is the only writer
        self._study = optuna.create_study(
            storage=storage,
            study_name=name,
            load_if_exists=True,
            directions=["maximize" if m in MAXIMISED else "minimize" for m in search.metric],
        )
        known = self._study.get_trials(deepcopy=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # constant_liar is called experimental since 2.8
            self._study.sampler = optuna.samplers.TPESampler(
                seed=search.seed + len(known),
                n_startup_trials=min(10, max(2, search.samples // 3)),
                constant_liar=len(search.metric) == 1,
            )
        self._known = [trial for trial in known if self._values(trial.params) is not None]
        for trial in known:
            if self._values(trial.params) is None and not trial.state.is_finished():
                # killed before it had all its values: nothing was trained by them
                self._study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        self._open: dict[int, Any] = {}

    def propose(self) -> Proposal | None:
        """What an interrupted run proposed, in its order, then new values."""
        if not self._left:
            return None
        self._left -= 1
        if self._known:
            trial = self._known.pop(0)
            return Proposal(number=trial.number, values=self._values(trial.params) or {})
        live = self._study.ask()
        self._open[live.number] = live
        values = map_ranges(self._tree, lambda one: _chosen(one, _suggest(live, one)))
        return Proposal(number=live.number, values=values)

    def _values(self, params: Mapping[str, Any]) -> dict[str, Any] | None:
        """The trial that Optuna's parameters stand for; None where some are missing."""
        try:
            return dict(map_ranges(self._tree, lambda one: _chosen(one, params[_name(one)])))
        except KeyError:
            return None

    def tell(self, number: int, verdict: Verdict) -> None:
        """Keep the outcome; a pruned training counts by its last epoch."""
        from optuna.trial import TrialState

        live = self._open.pop(number, None)
        is_pruned = verdict.state is TrialStatus.PRUNED
        if is_pruned and live is not None and len(verdict.objectives or ()) == 1:
            live.report(verdict.objectives[0], verdict.epochs)  # type: ignore[index]
        state = {
            TrialStatus.COMPLETED: TrialState.COMPLETE,
            TrialStatus.PRUNED: TrialState.PRUNED,
        }.get(verdict.state, TrialState.FAIL)
        values = verdict.objectives if state is TrialState.COMPLETE else None
        self._study.tell(number, values=values, state=state, skip_if_finished=True)


def _name(one: SearchRange) -> str:
    return ".".join(str(part) for part in one.path) + f" {one.kind}"


def _suggest(live: Any, one: SearchRange) -> Any:
    """Optuna's choice: of a list its position, as its values may be mappings."""
    name = _name(one)
    if one.kind in ("grid", "choice"):
        return live.suggest_categorical(name, list(range(len(one.values))))
    if one.kind == "randint":
        return live.suggest_int(name, one.values[0], one.values[1])
    if one.kind == "quniform":
        return live.suggest_int(name, 0, one.n_steps)
    return live.suggest_float(name, *one.values[:2], log=one.kind == "loguniform")


def _chosen(one: SearchRange, choice: Any) -> Any:
    if one.kind in ("grid", "choice"):
        return one.values[choice]
    return one.at_step(choice) if one.kind == "quniform" else choice


def make_proposals(study: Study, storage: str | None, name: str) -> Proposals:
    """Where the study's values come from.

    Args:
        study: The study.
        storage: URL of Optuna's database; None keeps nothing.
        name: Of the study in it.
    """
    if study.search.algorithm == "grid":
        return GridProposals(study)
    if study.search.algorithm == "optuna":
        return OptunaProposals(study, storage, name)
    return RandomProposals(study)
