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

from sweeper.records import TrialOutcome
from sweeper.trial.failures import loss_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import FrameType

    from ray.tune.experiment import Trial

    from sweeper.records import FailureReason, Placement

Work = Callable[[str, int, Callable[[dict[str, Any]], None]], TrialOutcome]
"""A job's text, the memory limit in bytes, and where to report epochs -> how it ended."""

_ENDED = "ended"
"""Key of the outcome in a trial's last result, as text: Tune writes results down itself."""


def last_result(outcome: TrialOutcome) -> dict[str, str]:
    """What a trial returns to Tune in the end."""
    return {_ENDED: outcome.value}


def outcome_of(result: Mapping[str, Any]) -> TrialOutcome | None:
    """How a trial says that it ended; None of an epoch, and of a trial that was stopped."""
    return TrialOutcome(result[_ENDED]) if _ENDED in result else None


class Listener(Protocol):
    """Who is told what happens; called in the driver, one event at a time."""

    def on_start(self, train_id: str) -> None:
        """A training has begun."""

    def on_epoch(self, train_id: str, epoch: dict[str, Any]) -> None:
        """An epoch has ended."""

    def on_end(
        self, train_id: str, outcome: TrialOutcome | None, loss: tuple[FailureReason, str] | None
    ) -> bool:
        """A training has ended.

        Args:
            train_id: Which one.
            outcome: The worker's, or `LOST`; None if it was stopped with the sweep.
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


def fit(
    jobs: Sequence[tuple[str, str]],
    placement: Placement,
    listener: Listener,
    storage: Path,
    work: Work | None,
) -> None:
    """One Tuner over jobs; see `driver.run_jobs`."""
    limit = placement.memory_bytes

    def training(config: dict[str, Any]) -> dict[str, Any]:
        from sweeper.trial.worker import train_one  # torch is for the worker, not the driver

        return last_result((work or train_one)(config["job"]["text"], limit, tune.report))

    tuner = tune.Tuner(
        tune.with_resources(training, resources_of(placement)),
        param_space={"job": tune.grid_search([{"train_id": i, "text": text} for i, text in jobs])},
        tune_config=tune.TuneConfig(
            max_concurrent_trials=placement.max_concurrent,
            reuse_actors=placement.shares_processes,
            trial_name_creator=_train_id,
            trial_dirname_creator=_train_id,
        ),
        run_config=run_config(storage, _Bridge(listener)),
    )
    tuner.fit()


def _train_id(trial: Trial) -> str:
    return str(trial.config["job"]["train_id"])


class _Bridge(Callback):  # type: ignore[misc]  # Ray ships no types
    """From Tune's callbacks to our listener."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def __reduce__(self) -> tuple[type[Callback], tuple[()]]:
        """Tune pickles its callbacks for a restore, which we never do: an empty one serves."""
        return Callback, ()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **_: Any) -> None:
        self._listener.on_start(_train_id(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **_: Any
    ) -> None:
        if "epoch" in result and outcome_of(result) is None:
            self._listener.on_epoch(_train_id(trial), result)

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **_: Any
    ) -> None:
        self._end(trial, outcome_of(trial.last_result), None)

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


_MAX_PROCESS_DEATHS = 2
"""How often a training whose process died is started again from its checkpoint (sources.md S54)."""


def resources_of(placement: Placement) -> dict[str, float]:
    """What Ray sets aside for one training."""
    resources: dict[str, float] = {"cpu": placement.cpu, "gpu": placement.gpu}
    if placement.memory_bytes:
        resources["memory"] = placement.memory_bytes
    return resources


def run_config(storage: Path, callback: Callback) -> tune.RunConfig:
    """A run with a name that no other has, that prints nothing and tells `callback` all.

    Args:
        storage: A folder for Tune's own state, on a file system that every node sees.
        callback: Told of every event.
    """
    return tune.RunConfig(
        name=f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}",
        storage_path=str(storage),
        verbose=0,
        callbacks=[callback],
        failure_config=tune.FailureConfig(max_failures=_MAX_PROCESS_DEATHS),
    )
