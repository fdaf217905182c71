from __future__ import annotations

from types import SimpleNamespace

import click
import pytest

from sweeper.cli.terminal import approval as module
from sweeper.cli.terminal.approval import approval
from sweeper.pipeline.costs.forecast import Devices, Prediction


def report(hours: float) -> SimpleNamespace:
    seconds = hours * 3600
    prediction = Prediction(
        trainings=3,
        unknown=0,
        training_seconds=seconds,
        wall_seconds=seconds,
        low_seconds=seconds / 2,
        high_seconds=seconds,
        gpu_hours=0.0,
        peak_bytes=1e9,
        origins=("probe",),
    )
    return SimpleNamespace(
        prediction=prediction, is_done=False, devices=Devices(workers=2, threads=1, gpu=0.0)
    )


def terminal(monkeypatch: pytest.MonkeyPatch, *, is_there: bool) -> None:
    stream = SimpleNamespace(isatty=lambda: is_there)
    monkeypatch.setattr(module, "sys", SimpleNamespace(stdin=stream, stdout=stream))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A person at a terminal who says no to everything."""
    questions: list[str] = []
    terminal(monkeypatch, is_there=True)
    monkeypatch.setattr(click, "confirm", lambda text: bool(questions.append(text)))
    return questions


def test_nobody_is_asked_below_the_stated_cost(asked: list[str]) -> None:
    assert approval(yes=False, ask_above=2.0)(report(1.9))
    assert asked == []


def test_above_the_stated_cost_a_person_is_asked_and_obeyed(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert not approval(yes=False, ask_above=2.0)(report(2.1))
    assert "more than 2 h" in asked[0]
    assert "peak memory 1.0 GB" in capsys.readouterr().out


def test_yes_is_never_asked(asked: list[str]) -> None:
    assert approval(yes=True, ask_above=0.0)(report(1000.0))
    assert asked == []


def test_without_a_terminal_the_run_begins_and_says_why(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal(monkeypatch, is_there=False)
    assert approval(yes=False, ask_above=0.0)(report(5.0))
    assert asked == []
    assert "the run starts without asking" in capsys.readouterr().out
