"""Ray Tune runs searches: one Tuner for all studies, so that they share workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ray import tune
from ray.tune import Callback
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, MedianStoppingRule
from ray.tune.search import Searcher

from sweeper.engine.ray_tune import (
    Interrupt,
    Signals,
    last_result,
    outcome_of,
    resources_of,
    run_config,
    stop_in_good_order,
)
from sweeper.records import TrialOutcome, TrialStatus
from sweeper.search.courses import Ended, merit, objectives
from sweeper.trial.search_worker import search_one

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ray.tune.experiment import Trial

    from sweeper.config.search_algorithm import SearchConfig
    from sweeper.engine.ray_tune import Work
    from sweeper.plan.expand import Training
    from sweeper.records import Placement
    from sweeper.search.courses import Course, Step, Tried

_TIME, _MERIT = "epochs_done", "merit"


class SearchListener(Protocol):
    """Who is told what happens in a search; called in the driver, one event at a time."""

    def on_start(self, training: Training) -> None:
        """A step of a training has begun."""

    def on_epoch(self, training: Training, record: Mapping[str, Any]) -> None:
        """An epoch has ended."""

    def on_end(self, training: Training, outcome: TrialOutcome) -> bool:
        """A training has ended.

        Args:
            training: The training.
            outcome: The worker's, `LOST`, or `PRUNED`: given up before its end.

        Returns:
            True to stop the search.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningStudy:
    """A study as the engine runs it.

    Attributes:
        search: How to look.
        course: Decides what is run.
        epochs: Of a whole training.
    """

    search: SearchConfig
    course: Course
    epochs: int


@dataclass(frozen=True, slots=True)
class _Live:
    study: RunningStudy
    step: Step


def run_search(
    studies: Sequence[RunningStudy],
    job_of: Callable[[Step], str],
    placement: Placement,
    listener: SearchListener,
    storage: Path,
    work: Work = search_one,
) -> Interrupt:
    """Run every study to its end, or until somebody stops it.

    Args:
        studies: In the order to run; a later one begins when an earlier one has nothing to start.
        job_of: The text of a step's job.
        placement: What a training gets.
        listener: Told of starts, epochs and ends.
        storage: A folder for Tune's own state.
        work: What a worker does with a job.

    Returns:
        Whether a signal ended it early.
    """
    interrupt = Interrupt()
    limit = placement.memory_bytes

    def training(config: dict[str, Any]) -> dict[str, Any]:
        return last_result(work(config["job"]["text"], limit, tune.report))

    desk = _Desk(studies, job_of, listener)
    tuner = tune.Tuner(
        tune.with_resources(training, resources_of(placement)),
        tune_config=tune.TuneConfig(
            search_alg=_Asks(desk),
            scheduler=_StopsByStudy(desk),
            num_samples=-1,
            max_concurrent_trials=placement.max_concurrent,
            reuse_actors=placement.shares_processes,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=run_config(storage, _Starts(desk)),
    )
    with Signals(interrupt):
        tuner.fit()
    return interrupt


def _name(trial: Trial) -> str:
    """Unique in a search, where a training may have several steps."""
    return f"{trial.config['job']['train_id']}-{trial.trial_id}"


class _Desk:
    """Where Tune's three ways of asking meet: what runs, what it reported, what is stopped."""

    def __init__(
        self,
        studies: Sequence[RunningStudy],
        job_of: Callable[[Step], str],
        listener: SearchListener,
    ) -> None:
        self.studies, self.job_of, self.listener = studies, job_of, listener
        self.live: dict[str, _Live] = {}
        self.records: dict[str, dict[int, Mapping[str, Any]]] = {}
        self.stopped: set[str] = set()

    def next(self, trial_id: str) -> dict[str, Any] | str | None:
        """The job of the next step, None while there is none, or Tune's word for the end."""
        for study in self.studies:
            step = study.course.next_step()
            if step is not None:
                self.live[trial_id] = _Live(study, step)
                text = self.job_of(step)
                return {"job": {"train_id": step.training.train_id, "text": text}}
        is_over = all(study.course.is_finished for study in self.studies)
        return str(Searcher.FINISHED) if is_over else None

    def note(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Keep an epoch's record."""
        live = self.live.get(trial_id)
        if live is None or "epoch" not in result or outcome_of(result) is not None:
            return
        own = self.records.setdefault(live.step.training.train_id, {})
        own[int(result["epoch"])] = {
            key: result[key] for key in ("epoch", "validation_loss", "source_dice", "seconds")
        }
        if not result.get("is_known"):
            self.listener.on_epoch(live.step.training, result)

    def so_far(self, trial_id: str) -> dict[str, float] | None:
        """How good a training's selected checkpoint is by now, for a scheduler."""
        live = self.live.get(trial_id)
        records = [] if live is None else self._records(live.step)
        if live is None or not records:
            return None
        found = objectives(live.study.search.metric, records)
        return {_TIME: len(records), _MERIT: merit(live.study.search, found)}

    def end(self, trial_id: str, outcome: TrialOutcome | None) -> None:
        """A step has ended; with no outcome and not stopped by us, the whole sweep was ended."""
        live = self.live.get(trial_id)
        if outcome is None and trial_id in self.stopped:
            outcome = TrialOutcome.PRUNED
        if live is None or outcome is None:
            return
        del self.live[trial_id]
        training, course = live.step.training, live.study.course
        given_up: list[Tried] = course.ended(
            live.step, Ended(outcome=outcome, epochs=self._records(live.step))
        )
        must_stop = [self.listener.on_end(one.training, TrialOutcome.PRUNED) for one in given_up]
        if TrialStatus.BEGUN.after(outcome) in (TrialStatus.COMPLETED, TrialStatus.FAILED):
            must_stop.append(self.listener.on_end(training, outcome))
        if any(must_stop):
            stop_in_good_order()

    def _records(self, step: Step) -> list[Mapping[str, Any]]:
        own = self.records.get(step.training.train_id, {})
        return [own[epoch] for epoch in sorted(own) if step.until is None or epoch < step.until]


class _Asks(Searcher):  # type: ignore[misc]  # Ray ships no types
    """Tune asks it for trials."""

    def __init__(self, desk: _Desk) -> None:
        super().__init__()
        self._desk = desk

    def __reduce__(self) -> tuple[type[Searcher], tuple[()]]:
        """As for the callback: Tune's copy for a restore is never used."""
        return Searcher, ()

    def suggest(self, trial_id: str) -> Any:
        return self._desk.next(trial_id)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self._desk.end(trial_id, TrialOutcome.LOST if error else outcome_of(result or {}))

    def save(self, checkpoint_path: str) -> None:
        """Nothing: what is done is in the trainings' folders."""

    def restore(self, checkpoint_path: str) -> None:
        """Never called: a search is asked for anew."""


class _StopsByStudy(FIFOScheduler):  # type: ignore[misc]  # Ray ships no types
    """A scheduler of Ray's for each study: trainings on different sources are never compared."""

    def __init__(self, desk: _Desk) -> None:
        super().__init__()
        self._desk = desk
        self._own = {id(study): _scheduler(study) for study in desk.studies}

    def __reduce__(self) -> tuple[type[FIFOScheduler], tuple[()]]:
        """As for the callback: Tune's copy for a restore is never used."""
        return FIFOScheduler, ()

    def set_search_properties(self, metric: str | None, mode: str | None, **_: Any) -> bool:
        return True

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self._of(trial).on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> Any:
        self._desk.note(trial.trial_id, result)
        seen = self._desk.so_far(trial.trial_id)
        if seen is None or outcome_of(result) is not None:
            return self.CONTINUE
        decision = self._of(trial).on_trial_result(tune_controller, trial, seen)
        live = self._desk.live[trial.trial_id]
        is_last = seen[_TIME] >= live.study.epochs
        if decision != self.STOP or is_last:  # a training that has all its epochs writes its result
            return self.CONTINUE
        self._desk.stopped.add(trial.trial_id)
        return self.STOP

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        seen = self._desk.so_far(trial.trial_id)
        if seen is not None:
            self._of(trial).on_trial_complete(tune_controller, trial, seen)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """A trial that never ran has told a scheduler nothing."""

    def _of(self, trial: Trial) -> Any:
        return self._own[id(self._desk.live[trial.trial_id].study)]


def _scheduler(study: RunningStudy) -> Any:
    search = study.search
    common = {"time_attr": _TIME, "metric": _MERIT, "mode": "max"}
    if search.scheduler == "asha":
        return ASHAScheduler(
            max_t=study.epochs,
            grace_period=search.grace_epochs,
            reduction_factor=search.reduction,
            stop_last_trials=False,
            **common,
        )
    if search.scheduler == "median":
        # a time slice without end, so that it stops trainings and never pauses one
        return MedianStoppingRule(
            grace_period=search.grace_epochs, min_time_slice=float("inf"), **common
        )
    return FIFOScheduler()


class _Starts(Callback):  # type: ignore[misc]  # Ray ships no types
    """Tells the listener of starts; the desk tells of the rest."""

    def __init__(self, desk: _Desk) -> None:
        self._desk = desk

    def __reduce__(self) -> tuple[type[Callback], tuple[()]]:
        """Tune pickles its callbacks for a restore, which we never do: an empty one serves."""
        return Callback, ()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **_: Any) -> None:
        live = self._desk.live.get(trial.trial_id)
        if live is not None:
            self._desk.listener.on_start(live.step.training)
