"""A sweep from outside of its cluster: Tune runs there, and what happens is told here.

Ray's client carries calls, not callbacks or signals. So an actor on the cluster runs the trainings.
This process exchanges messages with it again and again: jobs and trainings to stop go in, events
come out. It ends the actor when the listener or a person wants the sweep to stop; trainings end
with the actor.
"""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import ray

from desam_model.types import Decision
from sweeper.engine.ray_tune import Interrupt, Signals, run_source

if TYPE_CHECKING:
    from sweeper.engine.ray_tune import Job, JobSource, Listener, Work
    from sweeper.records import Placement, TrialOutcome

_POLL_S = 0.5
Event = tuple[str, tuple[Any, ...]]


def is_outside() -> bool:
    """True if this process joined its cluster by Ray's client."""
    return bool(ray.util.client.ray.is_connected())


def run_jobs_there(
    source: JobSource,
    placement: Placement,
    listener: Listener,
    storage: Path,
    work: Work | None,
    interrupt: Interrupt,
) -> None:
    """As `driver.run_jobs`, with Tune on the cluster."""
    actor = cast("Any", ray.remote(num_cpus=0, max_concurrency=2)(_Agent)).remote()
    messages = _Messages(source, listener, placement.max_concurrent)
    try:
        with Signals(interrupt, ends_tune=False):
            ray.get(actor.exchange.remote(*messages.outgoing()))
            running = actor.run.remote(placement, str(storage), work)
            while not interrupt.signal:
                ready, _ = ray.wait([running], timeout=_POLL_S)
                events = ray.get(actor.exchange.remote(*messages.outgoing()))
                if messages.take(events):
                    return
                if ready:
                    ray.get(running)  # raises what was raised there
                    return
    finally:
        ray.kill(actor)


class _Messages:
    """What this process and the actor have to tell each other."""

    def __init__(self, source: JobSource, listener: Listener, max_concurrent: int) -> None:
        self._source, self._listener = source, listener
        # one more than can run, so that a worker need not wait for the next exchange
        self._room = max_concurrent + 1
        self._n_there = 0
        self._stops: list[str] = []

    def outgoing(self) -> tuple[list[Job], bool, list[str]]:
        """Jobs, whether they are the last ones, and trainings to stop."""
        jobs: list[Job] = []
        while self._n_there < self._room and (job := self._source.next_job()) is not None:
            jobs.append(job)
            self._n_there += 1
        stops, self._stops = self._stops, []
        return jobs, self._source.is_exhausted, stops

    def take(self, events: list[Event]) -> bool:
        """Tell the listener what happened; True if it stops the sweep."""
        for name, details in events:
            answer = getattr(self._listener, name)(*details)
            if answer is Decision.STOP:
                self._stops.append(details[0])
            if name == "on_end":
                self._n_there -= 1
                if answer:
                    return True
        return False


class _Agent:
    """Runs on the cluster: takes jobs and stop requests, and keeps the events."""

    def __init__(self) -> None:
        self._inbox, self._recorder = _Inbox(), _Recorder()

    def run(self, placement: Placement, storage: str, work: Work | None) -> None:
        """Run the jobs to their end."""
        run_source(self._inbox, placement, self._recorder, Path(storage), work, Interrupt())

    def exchange(self, jobs: list[Job], is_last: bool, stops: list[str]) -> list[Event]:
        """Take what the client has to say; what happened since the last call."""
        self._inbox.add(jobs, is_last)
        return self._recorder.exchange(stops)


class _Inbox:
    """A source of the jobs that the client has sent."""

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()
        self._is_closed = False

    def add(self, jobs: list[Job], is_last: bool) -> None:
        self._jobs.extend(jobs)
        self._is_closed = is_last  # after the jobs: whoever asks in between waits for them

    @property
    def is_exhausted(self) -> bool:
        return self._is_closed and not self._jobs

    def next_job(self) -> Job | None:
        return self._jobs.popleft() if self._jobs else None


class _Recorder:
    """A listener that keeps events, and stops a training some epochs after the client asked."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._stops: set[str] = set()
        self._lock = threading.Lock()

    def exchange(self, stops: list[str]) -> list[Event]:
        with self._lock:
            self._stops.update(stops)
            events, self._events = self._events, []
        return events

    def on_start(self, train_id: str) -> None:
        self._keep("on_start", train_id)

    def on_epoch(self, train_id: str, epoch: dict[str, Any]) -> Decision:
        self._keep("on_epoch", train_id, {k: v for k, v in epoch.items() if k != "config"})
        return Decision.STOP if train_id in self._stops else Decision.CONTINUE

    def on_end(self, train_id: str, outcome: TrialOutcome | None, loss: Any) -> bool:
        self._stops.discard(train_id)
        self._keep("on_end", train_id, outcome, loss)
        return False

    def _keep(self, name: str, *details: Any) -> None:
        with self._lock:
            self._events.append((name, details))
