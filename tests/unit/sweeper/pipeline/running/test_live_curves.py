"""Live curves: gathered, written seldom, and never in the way of a sweep."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import sweeper.pipeline.running.live_curves as module
from sweeper.errors import TrackingError
from sweeper.pipeline.running.live_curves import SECONDS_BETWEEN, LiveCurves


class Recorder:
    """A tracker that remembers, and fails when told to."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.batches: list[tuple[str, list[int]]] = []
        self.is_broken = False

    def begin_training(self, start: Any) -> None:
        self._check()
        self.begun.append(start)

    def log_epochs(self, sweep: str, train_id: str, epochs: dict[int, dict[str, float]]) -> None:
        self._check()
        self.batches.append((train_id, sorted(epochs)))

    def _check(self) -> None:
        if self.is_broken:
            raise TrackingError("locked")


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.setattr(module, "training_start", lambda training, sweep, tags: training)
    found = SimpleNamespace(now=100.0, tracker=Recorder(), said=[])
    display = SimpleNamespace(say=found.said.append)
    found.curves = LiveCurves("s", found.tracker, display, clock=lambda: found.now)
    return found


def test_epochs_by_the_dozen_are_one_batch_a_training(parts: SimpleNamespace) -> None:
    parts.curves.begin("a", {})
    for epoch in range(10):
        for train_id in ("a", "b"):
            parts.now += 0.01
            parts.curves.add(train_id, {"epoch": epoch, "train_loss": 1.0, "config": {}})
    parts.now += SECONDS_BETWEEN
    parts.curves.add("a", {"epoch": 10, "train_loss": 1.0})
    assert parts.tracker.begun == ["a"]
    assert sorted(parts.tracker.batches) == [
        ("a", [0]),
        ("a", list(range(1, 11))),
        ("b", list(range(10))),
    ]


def test_an_ended_training_has_nothing_left_to_write(parts: SimpleNamespace) -> None:
    parts.curves.add("a", {"epoch": 0, "train_loss": 1.0})
    parts.curves.add("a", {"epoch": 1, "train_loss": 1.0})
    parts.curves.end("a")
    parts.now += SECONDS_BETWEEN
    parts.curves.add("b", {"epoch": 0, "train_loss": 1.0})
    assert parts.tracker.batches == [("a", [0]), ("b", [0])]


def test_trouble_with_mlflow_is_said_once_and_stops_nothing(parts: SimpleNamespace) -> None:
    parts.tracker.is_broken = True
    parts.curves.begin("a", {})
    for epoch in range(5):
        parts.now += SECONDS_BETWEEN
        parts.curves.add("a", {"epoch": epoch, "train_loss": 1.0})
    assert parts.said == ["MLflow: locked; curves are written when their trainings end"]
    parts.tracker.is_broken = False
    parts.now += 100
    parts.curves.add("a", {"epoch": 5, "train_loss": 1.0})
    assert parts.tracker.batches == [("a", [5])]
