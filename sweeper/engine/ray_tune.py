"""Ray Tune runs the trainings: one trial each, several at once, on what the cluster has."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ray import tune
from ray.tune import Callback
from ray.tune.search import Searcher
from ray.tune.stopper import NoopStopper, Stopper

from desam_model.types import Decision
from sweeper.records import TrialOutcome
from sweeper.trial.failures import loss_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import FrameType

    from ray.tune.experiment import Trial

    from sweeper.records import FailureReason, Placement

Work = Callable[[str, int, Callable[[dict[str, Any]], None]], TrialOutcome]
"""A job's text, the memory limit in bytes, and where to report epochs -> how it ended."""

_MAX_PROCESS_DEATHS = 2
"""How often a training whose process died is started again from its checkpoint (sources.md S54)."""

_MAX_TRIALS = 1000
"""Trials a Tuner may hold: Tune keeps 11 kB of state for each (sources.md S53)."""

_ENDED = "ended"
"""Key of the outcome in a trial's last result, as text: Tune writes results down itself."""


def last_result(outcome: TrialOutcome) -> dict[str, str]:
    """What a trial returns to Tune in the end."""
    return {_ENDED: outcome.value}


def outcome_of(result: Mapping[str, Any]) -> TrialOutcome | None:
    """How a trial says that it ended; None of an epoch, and of a trial that was stopped."""
    return TrialOutcome(result[_ENDED]) if _ENDED in result else None


Job = tuple[str, str]
"""`(train_id, TrainingJob.to_json())`."""


class JobSource(Protocol):
    """Hands out jobs whenever there is room for one: a list, or a search that decides late."""

    @property
    def is_exhausted(self) -> bool:
        """True if no job will come any more."""

    def next_job(self) -> Job | None:
        """The next job; None if there is none just now."""


class Listener(Protocol):
    """Receives the events of trainings; called in the driver, one event at a time."""

    def on_start(self, train_id: str) -> None:
        """A training has started."""

    def on_epoch(self, train_id: str, epoch: dict[str, Any]) -> Decision:
        """An epoch has ended; `STOP` stops this training, which then ends as `PRUNED`."""

    def on_end(
        self, train_id: str, outcome: TrialOutcome | None, loss: tuple[FailureReason, str] | None
    ) -> bool:
        """A training has ended.

        Args:
            train_id: Which one.
            outcome: The worker's, `PRUNED` if `on_epoch` stopped it, or `LOST`; None if it was
                stopped with the sweep.
            loss: Why its process was lost, if it was.

        Returns:
            True to stop the sweep.
        """


@dataclass(slots=True)
class Interrupt:
    """Whether a person or the system asked the sweep to stop.

    Attributes:
        signal: Number of the signal, 0 if none came.
    """

    signal: int = field(default=0)


def run_source(
    source: JobSource,
    placement: Placement,
    listener: Listener,
    storage: Path,
    work: Work | None,
    interrupt: Interrupt,
) -> None:
    """Run the source's jobs in one Tuner after another; see `driver.run_jobs`."""
    has_more = True
    while has_more and not interrupt.signal:
        has_more = _fit(source, placement, listener, storage, work)


def _fit(
    source: JobSource,
    placement: Placement,
    listener: Listener,
    storage: Path,
    work: Work | None,
) -> bool:
    """Run one Tuner; True if it ended only because it had its full number of trials."""
    limit = placement.memory_bytes
    bridge = _Bridge(listener)
    searcher = _Jobs(source)

    def training(config: dict[str, Any]) -> dict[str, Any]:
        from sweeper.trial.worker import train_one  # torch is for the worker, not the driver

        return last_result((work or train_one)(config["job"]["text"], limit, tune.report))

    tuner = tune.Tuner(
        tune.with_resources(training, _resources_of(placement)),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            num_samples=-1,
            max_concurrent_trials=placement.max_concurrent,
            reuse_actors=placement.shares_processes,
            trial_name_creator=_train_id,
            trial_dirname_creator=_train_id,
        ),
        run_config=tune.RunConfig(
            name=f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}",
            storage_path=str(storage),
            verbose=0,
            callbacks=[bridge],
            stop=_StopsOnRequest(bridge),
            failure_config=tune.FailureConfig(max_failures=_MAX_PROCESS_DEATHS),
        ),
    )
    tuner.fit()
    return searcher.is_full and not bridge.is_stopped


def _train_id(trial: Trial) -> str:
    return str(trial.config["job"]["train_id"])


# Tune pickles its callbacks, stoppers and searchers for a restore, which we never do: the bare
# classes of Ray serve as copies.


class _Jobs(Searcher):  # type: ignore[misc]  # Ray ships no types
    """Tune asks it for trials, and it asks the source."""

    def __init__(self, source: JobSource) -> None:
        super().__init__()
        self._source, self._n_handed_out = source, 0

    def __reduce__(self) -> tuple[type[Searcher], tuple[()]]:
        return Searcher, ()

    @property
    def is_full(self) -> bool:
        """True if this Tuner has had as many trials as it may hold."""
        return self._n_handed_out >= _MAX_TRIALS

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        job = None if self.is_full else self._source.next_job()
        if job is None:
            is_over = self.is_full or self._source.is_exhausted
            return str(Searcher.FINISHED) if is_over else None
        self._n_handed_out += 1
        train_id, text = job
        return {"job": {"train_id": train_id, "text": text}}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """The listener learns of it from the bridge."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: what is done is in the trainings' folders."""

    def restore(self, checkpoint_path: str) -> None:
        """Never called: an interrupted sweep is planned again."""


class _StopsOnRequest(Stopper):  # type: ignore[misc]  # Ray ships no types
    """Asks the listener after each epoch whether a training is to stop."""

    def __init__(self, bridge: _Bridge) -> None:
        self._bridge = bridge

    def __reduce__(self) -> tuple[type[Stopper], tuple[()]]:
        return NoopStopper, ()

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return self._bridge.must_stop(result)

    def stop_all(self) -> bool:
        return False


class _Bridge(Callback):  # type: ignore[misc]  # Ray ships no types
    """From Tune's callbacks to our listener.

    Attributes:
        is_stopped: True if the listener has stopped the sweep.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._pruned: set[str] = set()
        self.is_stopped = False

    def __reduce__(self) -> tuple[type[Callback], tuple[()]]:
        return Callback, ()

    def must_stop(self, result: dict[str, Any]) -> bool:
        """Hand an epoch to the listener; True if it wants the training to stop there."""
        if "epoch" not in result or outcome_of(result) is not None:
            return False
        train_id = str(result["config"]["job"]["train_id"])
        if self._listener.on_epoch(train_id, result) is Decision.CONTINUE:
            return False
        self._pruned.add(train_id)
        return True

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **_: Any) -> None:
        self._listener.on_start(_train_id(trial))

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **_: Any
    ) -> None:
        outcome = outcome_of(trial.last_result)
        if outcome is None and _train_id(trial) in self._pruned:
            outcome = TrialOutcome.PRUNED
        self._end(trial, outcome, None)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **_: Any) -> None:
        try:
            error = trial.get_pickled_error()
        except Exception:  # the record of the error is lost too: the disk, or the file system
            error = None
        self._end(trial, TrialOutcome.LOST, loss_of(error))

    def _end(
        self, trial: Trial, outcome: TrialOutcome | None, loss: tuple[FailureReason, str] | None
    ) -> None:
        if self._listener.on_end(_train_id(trial), outcome, loss):
            self.is_stopped = True
            stop_in_good_order()


def stop_in_good_order() -> None:
    """End the sweep by Tune's own way (sources.md S54); running trainings keep checkpoints."""
    os.kill(os.getpid(), signal.SIGUSR1)


class Signals:
    """Ctrl-C and SIGTERM end the sweep in good order; a second one ends it at once."""

    def __init__(self, interrupt: Interrupt, *, ends_tune: bool = True) -> None:
        self._interrupt, self._ends_tune = interrupt, ends_tune

    def __enter__(self) -> None:
        self._old = {s: signal.signal(s, self._handle) for s in (signal.SIGINT, signal.SIGTERM)}

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._interrupt.signal:
            os._exit(128 + number)
        self._interrupt.signal = number
        if self._ends_tune:
            stop_in_good_order()


def _resources_of(placement: Placement) -> dict[str, float]:
    """What Ray sets aside for one training."""
    resources: dict[str, float] = {"cpu": placement.cpu, "gpu": placement.gpu}
    if placement.memory_bytes:
        resources["memory"] = placement.memory_bytes
    return resources
