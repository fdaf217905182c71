"""A sweep from outside of its cluster: Tune runs there, and what happens is told here.

Ray's client carries calls, not callbacks or signals. So an actor on the cluster runs the trainings
and keeps a list of what happened; this process asks it again and again, tells the listener, and
ends the actor when the listener or a person wants the sweep to stop. Trainings end with the actor.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import ray

from sweeper.engine.ray_tune import Interrupt, Signals, Work, fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeper.engine.ray_tune import Listener
    from sweeper.records import Placement, TrialOutcome

_POLL_S = 0.5
Event = tuple[str, tuple[Any, ...]]


def is_outside() -> bool:
    """True if this process joined its cluster by Ray's client."""
    return bool(ray.util.client.ray.is_connected())


def run_jobs_there(
    jobs: Sequence[tuple[str, str]],
    placement: Placement,
    listener: Listener,
    storage: Path,
    work: Work | None = None,
) -> Interrupt:
    """As `driver.run_jobs`, with Tune on the cluster."""
    interrupt = Interrupt()
    actor = cast("Any", ray.remote(num_cpus=0, max_concurrency=2)(_There)).remote()
    running = actor.run.remote(list(jobs), placement, str(storage), work)
    try:
        with Signals(interrupt, ends_tune=False):
            _listen(actor, running, listener, interrupt)
    finally:
        ray.kill(actor)
    return interrupt


def _listen(actor: Any, running: Any, listener: Listener, interrupt: Interrupt) -> None:
    """Tell the listener of events until the trainings have ended or somebody stops them."""
    while not interrupt.signal:
        ready, _ = ray.wait([running], timeout=_POLL_S)
        for name, words in ray.get(actor.events.remote()):
            if getattr(listener, name)(*words) is True:
                return
        if ready:
            ray.get(running)  # raises what was raised there
            return


class _There:
    """Runs on the cluster."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._lock = threading.Lock()

    def run(
        self, jobs: list[tuple[str, str]], placement: Placement, storage: str, work: Work | None
    ) -> None:
        """Run the jobs to their end."""
        fit(jobs, placement, _Notes(self._events, self._lock), Path(storage), work)

    def events(self) -> list[Event]:
        """What happened since the last call."""
        with self._lock:
            found = list(self._events)
            self._events.clear()
        return found


class _Notes:
    """A listener that writes down what it is told."""

    def __init__(self, events: list[Event], lock: threading.Lock) -> None:
        self._events, self._lock = events, lock

    def on_start(self, train_id: str) -> None:
        self._note("on_start", train_id)

    def on_epoch(self, train_id: str, epoch: dict[str, Any]) -> None:
        self._note("on_epoch", train_id, {k: v for k, v in epoch.items() if k != "config"})

    def on_end(self, train_id: str, outcome: TrialOutcome | None, loss: Any) -> bool:
        self._note("on_end", train_id, outcome, loss)
        return False

    def _note(self, name: str, *words: Any) -> None:
        with self._lock:
            self._events.append((name, words))
