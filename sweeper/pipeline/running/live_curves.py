"""Curves that can be watched while a training runs, at a cost that the sweep does not feel."""

from __future__ import annotations

import time
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

from sweeper.errors import TrackingError
from sweeper.pipeline.running.record import epoch_numbers, training_start

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sweeper.pipeline.display import Display
    from sweeper.plan.expand import Training
    from sweeper.tracking.tracker import Tracker

SECONDS_BETWEEN = 2.0
"""Epochs are gathered for so long and then written in one batch a training: short epochs come by
the dozen a second, and a batch costs 5 ms however many it holds."""

_SECONDS_OFF = 60.0
"""How long curves rest after MLflow could not be written; the end of a training writes them all."""


class LiveCurves:
    """Tells the tracker of trainings that begin and of their epochs."""

    def __init__(
        self,
        sweep: str,
        tracker: Tracker,
        display: Display,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sweep, self._tracker, self._display, self._clock = sweep, tracker, display, clock
        self._waiting: dict[str, dict[int, Mapping[str, float]]] = defaultdict(dict)
        self._next_write = self._rests_until = clock()

    def begin(self, training: Training, tags: Mapping[str, str]) -> None:
        """Open a training's run."""
        start = training_start(training, self._sweep, tags)
        self._write(lambda: self._tracker.begin_training(start))

    def add(self, train_id: str, epoch: Mapping[str, Any]) -> None:
        """Take an epoch's record; now and then write what was gathered."""
        self._waiting[train_id][int(epoch["epoch"])] = epoch_numbers(epoch)
        if self._clock() >= self._next_write:
            self._next_write = self._clock() + SECONDS_BETWEEN
            waiting, self._waiting = self._waiting, defaultdict(dict)
            for name, epochs in waiting.items():
                self._write(partial(self._tracker.log_epochs, self._sweep, name, epochs))

    def end(self, train_id: str) -> None:
        """Forget what waits of a training: its end writes all of it."""
        self._waiting.pop(train_id, None)

    def _write(self, call: Callable[[], None]) -> None:
        """Trouble with MLflow never stops a sweep, and costs it no second wait for a while."""
        if self._clock() < self._rests_until:
            return
        try:
            call()
        except TrackingError as err:
            self._rests_until = self._clock() + _SECONDS_OFF
            self._display.say(f"MLflow: {err}; curves are written when their trainings end")
