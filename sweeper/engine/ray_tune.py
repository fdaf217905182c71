"""Ray Tune runs the trainings: one trial each, several at once, on what the cluster has."""

from __future__ import annotations

import logging
import os
import signal
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import ray
from ray import tune
from ray.tune import Callback

from sweeper.engine import QUIET
from sweeper.errors import ResourceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import FrameType

    from ray.tune.experiment import Trial

Work = Callable[[str, int, Callable[[dict[str, Any]], None]], str]
"""A job's text, the memory limit in bytes, and where to report epochs -> how it ended."""

_STORE_BYTES = 256 * 1024**2  # nothing big goes through the object store (engine.md rule 15)
_WORKER_ENVIRONMENT = {**QUIET, "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60"}
"""A driver's own environment does not reach workers (engine.md 1.8)."""
_MAX_TRIALS = 1000  # Tune keeps 11 kB of state a trial (engine.md 1.3)


class Listener(Protocol):
    """Who is told what happens; called in the driver, one event at a time."""

    def on_start(self, train_id: str) -> None:
        """A training has begun."""

    def on_epoch(self, train_id: str, epoch: dict[str, Any]) -> None:
        """An epoch has ended."""

    def on_end(self, train_id: str, is_lost: bool) -> bool:
        """A training has ended, or its process was lost; True stops the sweep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What one training gets, and how many run at once.

    Attributes:
        cpu: Cores and threads.
        gpu: GPUs, a fraction allowed.
        memory_bytes: Host memory; also the limit of the guard. 0: none.
        max_concurrent: Trainings at once.
        shares_processes: True if a worker takes the next training without a new process.
    """

    cpu: int
    gpu: float
    memory_bytes: int
    max_concurrent: int
    shares_processes: bool


@dataclass(slots=True)
class Interrupt:
    """Whether a person or the system asked the sweep to stop.

    Attributes:
        signal: Number of the signal, 0 if none came.
    """

    signal: int = field(default=0)


def start(address: str | None, temp_dir: Path | None = None) -> dict[str, float]:
    """Start Ray on this machine, or join the cluster at `address`; the resources it has.

    Raises:
        ResourceError: No cluster answers at the address.
    """
    options: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": "ERROR",
        "runtime_env": {"env_vars": _WORKER_ENVIRONMENT},
    }
    if address is None:
        options |= {"include_dashboard": False, "object_store_memory": _STORE_BYTES}
        if temp_dir is not None:
            options["_temp_dir"] = str(temp_dir)
    try:
        ray.init(address=address or "local", **options)
    except (ConnectionError, ValueError, RuntimeError) as err:
        reason = str(err).splitlines()[0] if str(err) else type(err).__name__
        where = f"the Ray cluster at {address!r}" if address else "Ray on this machine"
        raise ResourceError(
            f"cannot start {where} ({reason}); check the address, or leave --address out to run"
            " on this machine alone"
        ) from err
    for name in ("ray.tune", "ray.data", "ray"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return {name: float(amount) for name, amount in ray.cluster_resources().items()}


def stop() -> None:
    """Leave the cluster; a local one ends."""
    ray.shutdown()


def check_fits(placement: Placement) -> None:
    """Refuse at once what Tune would wait for without end.

    Raises:
        ResourceError: No node has what one training asks for.
    """
    nodes = [n["Resources"] for n in ray.nodes() if n["Alive"]]
    for node in nodes:
        if (
            node.get("CPU", 0) >= placement.cpu
            and node.get("GPU", 0) >= placement.gpu
            and node.get("memory", 0) >= placement.memory_bytes
        ):
            return
    found = "; ".join(
        f"{n.get('CPU', 0):g} CPU, {n.get('GPU', 0):g} GPU, {n.get('memory', 0) / 1e9:.1f} GB"
        for n in nodes
    )
    raise ResourceError(
        f"no machine fits a training that asks for {placement.cpu} CPU, {placement.gpu:g} GPU and"
        f" {placement.memory_bytes / 1e9:.1f} GB; there is {found}. Lower 'resources:' in the"
        " search space, or --set resources.cpu=1"
    )


def run_jobs(
    jobs: Sequence[tuple[str, str]],
    placement: Placement,
    listener: Listener,
    storage: Path,
    work: Work | None = None,
) -> Interrupt:
    """Run trainings until all have ended or somebody stops them.

    Args:
        jobs: `(train_id, TrainingJob.to_json())`, in the order to run.
        placement: What each one gets.
        listener: Told of starts, epochs and ends.
        storage: A folder for Tune's own state, on a file system that every node sees.
        work: What a worker does with a job; by default it trains.

    Returns:
        Whether a signal ended it early.
    """
    interrupt = Interrupt()
    with Signals(interrupt):
        for begin in range(0, len(jobs), _MAX_TRIALS):
            if not interrupt.signal:
                _fit(jobs[begin : begin + _MAX_TRIALS], placement, listener, storage, work)
    return interrupt


def _fit(
    jobs: Sequence[tuple[str, str]],
    placement: Placement,
    listener: Listener,
    storage: Path,
    work: Work | None,
) -> None:
    limit = placement.memory_bytes

    def training(config: dict[str, Any]) -> dict[str, Any]:
        from sweeper.engine.worker import train_one  # torch is for the worker, not the driver

        return {"ended": (work or train_one)(config["job"]["text"], limit, tune.report)}

    resources: dict[str, float] = {"cpu": placement.cpu, "gpu": placement.gpu}
    if limit:
        resources["memory"] = limit
    tuner = tune.Tuner(
        tune.with_resources(training, resources),
        param_space={"job": tune.grid_search([{"train_id": i, "text": text} for i, text in jobs])},
        tune_config=tune.TuneConfig(
            max_concurrent_trials=placement.max_concurrent,
            reuse_actors=placement.shares_processes,
            trial_name_creator=_train_id,
            trial_dirname_creator=_train_id,
        ),
        run_config=tune.RunConfig(
            name=f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}",
            storage_path=str(storage),
            verbose=0,
            callbacks=[_Bridge(listener)],
            failure_config=tune.FailureConfig(max_failures=2),
        ),
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
        if "epoch" in result and "ended" not in result:
            self._listener.on_epoch(_train_id(trial), result)

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **_: Any
    ) -> None:
        self._end(trial, is_lost=False)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **_: Any) -> None:
        self._end(trial, is_lost=True)

    def _end(self, trial: Trial, is_lost: bool) -> None:
        if self._listener.on_end(_train_id(trial), is_lost):
            stop_in_good_order()


def stop_in_good_order() -> None:
    """End the running sweep by Tune's own way: running trainings keep their checkpoints."""
    os.kill(os.getpid(), signal.SIGUSR1)


class Signals:
    """Ctrl-C and SIGTERM end the sweep in good order; a second one ends it at once."""

    def __init__(self, interrupt: Interrupt) -> None:
        self._interrupt = interrupt

    def __enter__(self) -> None:
        self._old = {s: signal.signal(s, self._handle) for s in (signal.SIGINT, signal.SIGTERM)}

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._interrupt.signal:
            os._exit(128 + number)
        self._interrupt.signal = number
        stop_in_good_order()
