"""Optuna's study of one cell: what to try, every epoch's value, and how each training ended.

The study in its database is the only record of a search. A search that was killed continues from
it: trials that are still running are handed out again under their numbers.
"""

from __future__ import annotations

import math
import random
import warnings
from collections import deque
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import optuna
from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import TrialState

from sweeper.config.search_algorithm import MAXIMISED
from sweeper.records import TrialStatus
from sweeper.search.objectives import objectives
from sweeper.search.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial, Trial

    from sweeper.config.search_algorithm import SearchConfig, Study

TRAIN_ID, DUPLICATE_OF, RETRY_OF, STOPPED_AT, EPOCHS = (
    "train_id",
    "duplicate_of",
    "retry_of",
    "stopped_at",
    "epochs",
)
"""User attributes of a trial, besides those of its cell."""

_N_MEDIAN_TRIALS = 3
"""Completed trainings before the median rule stops one."""

_DUPLICATES_OF_TPE = 3
"""Duplicates in a row after which TPE, which likes to repeat itself, is replaced by chance."""

_DUPLICATES = 50
"""Duplicates in a row after which a cell counts as exhausted."""

_STATUS = {
    TrialState.COMPLETE: TrialStatus.COMPLETED,
    TrialState.PRUNED: TrialStatus.PRUNED,
    TrialState.FAIL: TrialStatus.FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A training of a search.

    Attributes:
        number: Of its trial.
        train_id: Identity of the training.
        params: Searched values by key, as people read them.
        values: A trial of the search space with these values.
        status: Where it stands.
        epochs: Epochs that it has; 0 while it is running.
        objectives: One number per metric; None if it has none.
    """

    number: int
    train_id: str
    params: Mapping[str, Any]
    values: Mapping[str, Any]
    status: TrialStatus
    epochs: int
    objectives: tuple[float, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchCell:
    """What a study is about.

    Attributes:
        name: Of the study.
        study: What is searched, and how.
        epochs: Of a whole training.
        budget: Trainings that it may try.
        attributes: Method, source and dataset: user attributes of the study and of its trials.
    """

    name: str
    study: Study
    epochs: int
    budget: int
    attributes: Mapping[str, str]


class CellStudy:
    """The study of one cell.

    Args:
        cell: What it is.
        study: Optuna's.
    """

    def __init__(self, cell: SearchCell, study: optuna.Study) -> None:
        self._cell, self._study = cell, study
        self._search, self._parameters = cell.study.search, Parameters(cell.study)
        self._unfinished = deque(t for t in self._trials() if t.state is TrialState.RUNNING)

    @classmethod
    def create(cls, cell: SearchCell, storage: BaseStorage) -> CellStudy:
        """The cell's study in a database, created where it is not there."""
        metrics = cell.study.search.metric
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(
            study_name=cell.name,
            storage=storage,
            pruner=_pruner(cell.study.search, cell.epochs),
            load_if_exists=True,
            directions=["maximize" if name in MAXIMISED else "minimize" for name in metrics],
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the method is called experimental since 3.2
            study.set_metric_names(list(metrics))
        for key, value in cell.attributes.items():
            study.set_user_attr(key, value)
        return cls(cell, study)

    @classmethod
    def load(cls, cell: SearchCell, storage: BaseStorage) -> CellStudy | None:
        """The cell's study to be read; None if there is none."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            return cls(cell, optuna.load_study(study_name=cell.name, storage=storage))
        except KeyError:
            return None

    def next_trial(self) -> LiveTrial | None:
        """A trial that a killed search left, else a new one; None if the budget is spent."""
        if self._unfinished:
            left = self._unfinished.popleft()
            self._study.sampler = self._sampler(self._trials()[: left.number])
            return self._live(optuna.trial.Trial(self._study, left._trial_id), left)
        trials = self._trials()
        if not any(trial.state is TrialState.WAITING for trial in trials):
            if self._is_exhausted(trials):
                return None
            if self._search.algorithm == "grid":
                # unlike Optuna's GridSampler, this knows axes that only some choices have
                point = self._parameters.point(sum(RETRY_OF not in t.user_attrs for t in trials))
                self._study.enqueue_trial(point)
        self._study.sampler = self._sampler(trials)
        asked = self._study.ask()
        return self._live(asked, self._trials()[asked.number])

    def retry(self, number: int) -> None:
        """Try the values of a failed trial again, in a trial of its own."""
        trials = self._trials()
        if not any(trial.user_attrs.get(RETRY_OF) == number for trial in trials if _is_open(trial)):
            self._study.enqueue_trial(trials[number].params, user_attrs={RETRY_OF: number})

    def tried(self) -> tuple[Tried, ...]:
        """Every started training of the budget, by number; a retry replaces its trial."""
        latest: dict[int, FrozenTrial] = {}
        for trial in self._trials():
            if TRAIN_ID in trial.user_attrs and DUPLICATE_OF not in trial.user_attrs:
                latest[trial.user_attrs.get(RETRY_OF, trial.number)] = trial
        return tuple(
            Tried(
                number=number,
                train_id=trial.user_attrs[TRAIN_ID],
                params=trial.params,
                values=self._parameters.values(trial.params),
                status=_STATUS.get(trial.state, TrialStatus.STARTED),
                epochs=trial.user_attrs.get(EPOCHS, 0),
                objectives=None if trial.values is None else tuple(trial.values),
            )
            for number, trial in sorted(latest.items())[: self._cell.budget]
        )

    @property
    def is_finished(self) -> bool:
        """True if the budget is spent, or there is nothing more to try, and no trial is open."""
        trials = self._trials()
        return self._is_exhausted(trials) and not any(_is_open(trial) for trial in trials)

    def _is_exhausted(self, trials: Sequence[FrozenTrial]) -> bool:
        first_tries = [trial for trial in trials if RETRY_OF not in trial.user_attrs]
        n_tried = sum(DUPLICATE_OF not in trial.user_attrs for trial in first_tries)
        if self._search.algorithm == "grid":
            return len(first_tries) >= self._cell.budget
        return n_tried >= self._cell.budget or _n_last_duplicates(trials) >= _DUPLICATES

    def _sampler(self, trials: Sequence[FrozenTrial]) -> BaseSampler:
        """The next trial's sampler, with a seed of its own.

        So a search that was interrupted draws what it would have drawn, more samples extend it, and
        cells of equal ranges have equal draws.
        """
        search = self._search
        seed = random.Random(f"{search.seed} {len(trials)}").getrandbits(32)
        is_stuck = _n_last_duplicates(trials) >= _DUPLICATES_OF_TPE
        if search.algorithm != "optuna" or is_stuck:
            return RandomSampler(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # constant_liar is called experimental since 2.8
            return TPESampler(
                seed=seed,
                n_startup_trials=min(10, max(2, search.samples // 3)),
                constant_liar=len(search.metric) == 1,
            )

    def _live(self, trial: Trial, frozen: FrozenTrial) -> LiveTrial:
        values = self._parameters.suggested(trial)
        for key, value in self._cell.attributes.items():
            if frozen.user_attrs.get(key) != value:
                trial.set_user_attr(key, value)
        return LiveTrial(
            study=self._study,
            trial=trial,
            frozen=frozen,
            values=values,
            metrics=self._search.metric,
            epochs=self._cell.epochs,
        )

    def _trials(self) -> list[FrozenTrial]:
        """All trials; a trial's number is its index."""
        trials: list[FrozenTrial] = self._study.get_trials(deepcopy=False)
        return trials


class LiveTrial:
    """A trial whose training has not ended.

    Attributes:
        number: In its study.
        values: A trial of the search space with the values to try.
        is_stopped: True if the pruner has stopped it.
    """

    def __init__(
        self,
        *,
        study: optuna.Study,
        trial: Trial,
        frozen: FrozenTrial,
        values: Mapping[str, Any],
        metrics: Sequence[str],
        epochs: int,
    ) -> None:
        self.number, self.values = frozen.number, values
        self.is_stopped = STOPPED_AT in frozen.user_attrs
        self._study, self._trial, self._metrics, self._epochs = study, trial, metrics, epochs
        self._reported = set(frozen.intermediate_values)

    @property
    def params(self) -> Mapping[str, Any]:
        """Searched values by key, as people read them."""
        params: dict[str, Any] = self._trial.params
        return params

    @property
    def n_reported(self) -> int:
        """Epochs reported so far."""
        return max(self._reported, default=0)

    def begin(self, train_id: str) -> bool:
        """Name the training; False if an earlier trial has it, which ends this one.

        A failed trial is no such trial: its values may be tried again.
        """
        for other in self._study.get_trials(deepcopy=False)[: self.number]:
            if other.user_attrs.get(TRAIN_ID) == train_id and other.state is not TrialState.FAIL:
                self._trial.set_user_attr(DUPLICATE_OF, other.number)
                self._study.tell(self.number, state=TrialState.FAIL)
                return False
        self._trial.set_user_attr(TRAIN_ID, train_id)
        return True

    def report(self, epochs: Iterable[Mapping[str, Any]]) -> bool:
        """Report the objective after some epochs, once; False if that was done before.

        What is reported is the objective of the checkpoint selected so far, so that a decision to
        stop and the choice of the winner agree. Optuna takes no reports for several metrics.
        """
        records = list(epochs)
        if len(self._metrics) > 1 or len(records) in self._reported:
            return False
        self._trial.report(objectives(self._metrics, records)[0], step=len(records))
        self._reported.add(len(records))
        return True

    def judge(self, epochs: Sequence[Mapping[str, Any]]) -> bool:
        """Report as `report` does; True if the pruner stops the training here or did before.

        It never does after the last epoch.
        """
        is_new, is_last = self.report(epochs), len(epochs) >= self._epochs
        if is_new and not is_last and not self.is_stopped and self._trial.should_prune():
            self.is_stopped = True
            self._trial.set_user_attr(STOPPED_AT, len(epochs))
        return self.is_stopped and not is_last

    def complete(self, epochs: Sequence[Mapping[str, Any]]) -> None:
        """The training has all its epochs; an undefined objective counts as a failure."""
        values = objectives(self._metrics, epochs)
        if any(math.isnan(value) for value in values):
            self.fail(len(epochs))
            return
        self._tell(TrialState.COMPLETE, len(epochs), list(values))

    def prune(self, n_epochs: int) -> None:
        """The training was stopped after so many epochs."""
        self._tell(TrialState.PRUNED, n_epochs)

    def fail(self, n_epochs: int) -> None:
        """The training failed for good."""
        self._tell(TrialState.FAIL, n_epochs)

    def _tell(self, state: TrialState, n_epochs: int, values: list[float] | None = None) -> None:
        self._trial.set_user_attr(EPOCHS, n_epochs)
        self._study.tell(self.number, values=values, state=state)


def _pruner(search: SearchConfig, epochs: int) -> BasePruner:
    if search.scheduler == "asha":
        return SuccessiveHalvingPruner(
            min_resource=search.grace_epochs, reduction_factor=search.reduction
        )
    if search.scheduler == "hyperband":
        return HyperbandPruner(
            min_resource=search.grace_epochs,
            max_resource=epochs,
            reduction_factor=search.reduction,
        )
    if search.scheduler == "median":
        return MedianPruner(n_startup_trials=_N_MEDIAN_TRIALS, n_warmup_steps=search.grace_epochs)
    return NopPruner()


def _is_open(trial: FrozenTrial) -> bool:
    return not trial.state.is_finished()


def _n_last_duplicates(trials: Sequence[FrozenTrial]) -> int:
    return sum(1 for _ in takewhile(lambda t: DUPLICATE_OF in t.user_attrs, reversed(trials)))
