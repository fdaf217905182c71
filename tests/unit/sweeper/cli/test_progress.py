"""The plain display counts trainings, says how each ended, and estimates the time left."""

from __future__ import annotations

import pytest

from sweeper.cli.terminal.progress import PlainDisplay, clock
from sweeper.pipeline.display import Ending


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (59.6, "1:00"),
        (123, "2:03"),
        (3599, "59:59"),
        (3600, "1:00:00"),
        (90061, "25:01:01"),
    ],
)
def test_a_time_is_shown_in_hours_minutes_and_seconds(seconds, text):
    assert clock(seconds) == text


@pytest.fixture
def display(capsys):
    del capsys  # it must capture the first line too
    shown = PlainDisplay()
    shown.begin(total=4, workers=2)
    yield shown
    shown.close()


def test_each_training_that_ends_is_one_line_with_its_number(display, capsys):
    for name, ending in (("a", Ending.DONE), ("b", Ending.FAILED), ("c", Ending.PRUNED)):
        display.started(name)
        display.ended(name, ending, "Dice 0.5" if name == "a" else "")
    begin, *lines = capsys.readouterr().out.splitlines()
    assert begin == "training: 4 to run, 2 at a time"
    assert [line.split(" (")[0] for line in lines] == [
        "[1/4] a: done, Dice 0.5",
        "[2/4] b: failed",
        "[3/4] c: pruned",
    ]


@pytest.mark.parametrize("ending", [Ending.AGAIN, Ending.PAUSED])
def test_an_attempt_that_is_followed_by_another_is_not_counted_as_an_end(display, capsys, ending):
    display.started("a")
    display.ended("a", ending, "")
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"[0/4] a: {ending}")


def test_the_time_left_is_unknown_at_first_and_follows_the_work_that_is_done(display, capsys):
    display.started("a")
    display.ended("b", Ending.AGAIN, "")
    assert "ETA after the first epoch" in capsys.readouterr().out
    display.epoch("a", 0, 10)
    display.ended("b", Ending.AGAIN, "")
    assert "ETA 0:00" in capsys.readouterr().out  # its pace so far, which was no time at all
    display.epoch("a", 9, 10)
    display.ended("b", Ending.AGAIN, "")
    assert "ETA 0:00" in capsys.readouterr().out


def test_a_phase_says_its_end(display, capsys):
    display.advance(1, 3, "slices")
    assert "slices" not in capsys.readouterr().out
    display.advance(3, 3, "slices")
    assert capsys.readouterr().out == "  3/3 slices\n"
