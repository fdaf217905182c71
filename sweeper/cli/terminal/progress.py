"""Progress displays: one live line on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import threading
import time

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from sweeper.pipeline.display import Ending

_HEARTBEAT_S = 30.0
_UNFINISHED = (Ending.AGAIN, Ending.PAUSED)
"""Endings of an attempt after which the training runs again."""


def display() -> TerminalDisplay | PlainDisplay:
    """The display for stdout: live on a terminal, plain lines otherwise."""
    return TerminalDisplay() if sys.stdout.isatty() else PlainDisplay()


class _Counts:
    """Counts of done, running, failed and remaining trainings, and the estimated time left."""

    def __init__(self) -> None:
        self.total, self.workers = 0, 1
        self.done, self.failed, self.pruned = 0, 0, 0
        self.running: dict[str, float] = {}
        self._started = time.monotonic()

    def begin(self, total: int, workers: int) -> None:
        self.total, self.workers = total, max(workers, 1)
        self.done, self.failed, self.pruned = 0, 0, 0  # a search may have run before
        self.running.clear()
        self._started = time.monotonic()

    def set_epoch(self, name: str, epoch: int, epochs: int) -> None:
        if name in self.running:
            self.running[name] = (epoch + 1) / max(epochs, 1)

    def end(self, name: str, state: Ending) -> None:
        self.running.pop(name, None)
        self.done += state is Ending.DONE
        self.pruned += state is Ending.PRUNED
        self.failed += state not in (Ending.DONE, Ending.PRUNED, *_UNFINISHED)

    @property
    def ended(self) -> int:
        return self.done + self.failed + self.pruned

    @property
    def left(self) -> int:
        return max(self.total - self.ended - len(self.running), 0)

    def eta(self) -> str:
        """Estimated time left, from the pace so far; running trainings count in part."""
        finished = self.ended + sum(self.running.values())
        if not finished:
            return "ETA after the first epoch"
        left = max(self.total - finished, 0.0)
        seconds = (time.monotonic() - self._started) * left / finished
        return f"ETA {clock(seconds)}"

    def line(self) -> str:
        pruned = f" {self.pruned} pruned," if self.pruned else ""
        return (
            f"{self.done} done, {len(self.running)} running,{pruned} {self.failed} failed,"
            f" {self.left} left, {self.eta()}"
        )


def clock(seconds: float) -> str:
    """Seconds as `1:02:03` or `2:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class PlainDisplay:
    """Plain lines: one per finished training, and a heartbeat at least every 30 s."""

    def __init__(self) -> None:
        self._counts = _Counts()
        self._last = time.monotonic()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def say(self, text: str) -> None:
        """Print one line."""
        self._last = time.monotonic()
        click.echo(text)

    def phase(self, text: str) -> None:
        """Announce a new phase."""
        self.say(text)

    def advance(self, done: int, total: int, unit: str) -> None:
        """Print the progress of the phase, at most every 30 s."""
        if done == total or time.monotonic() - self._last > _HEARTBEAT_S:
            self.say(f"  {done}/{total} {unit}")

    def begin(self, total: int, workers: int) -> None:
        """The sweep starts: start the heartbeat."""
        self._counts.begin(total, workers)
        self.say(f"training: {total} to run, {workers} at a time")
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def started(self, name: str) -> None:
        """A training has started."""
        self._counts.running[name] = 0.0

    def epoch(self, name: str, epoch: int, epochs: int) -> None:
        """Update the ETA; no line is printed per epoch."""
        self._counts.set_epoch(name, epoch, epochs)

    def ended(self, name: str, state: Ending, note: str) -> None:
        """Print one line for the training that ended."""
        self._counts.end(name, state)
        done = f"[{self._counts.ended}/{self._counts.total}]"
        note = f", {note}" if note else ""
        self.say(f"{done} {name}: {state}{note} ({self._counts.eta()})")

    def close(self) -> None:
        """Stop the heartbeat."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(1.0):
            if time.monotonic() - self._last > _HEARTBEAT_S:
                self.say(f"  ... {self._counts.line()}")


class TerminalDisplay:
    """One live line below the printed lines."""

    def __init__(self) -> None:
        self._console = Console()
        self._counts = _Counts()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            transient=True,
        )
        self._task: TaskID | None = None

    def say(self, text: str) -> None:
        """Print one permanent line."""
        self._console.print(text, highlight=False, markup=False)

    def phase(self, text: str) -> None:
        """Announce a new phase with a new live line."""
        self._drop()
        self._progress.start()
        self._task = self._progress.add_task(text, total=None, note="")

    def advance(self, done: int, total: int, unit: str) -> None:
        """Update the progress of the phase."""
        if self._task is not None:
            self._progress.update(
                self._task, completed=done, total=total, note=f"{done}/{total} {unit}"
            )

    def begin(self, total: int, workers: int) -> None:
        """The sweep starts."""
        self._counts.begin(total, workers)
        self.phase(f"training, {workers} at a time")
        self._refresh()

    def started(self, name: str) -> None:
        """A training has started."""
        self._counts.running[name] = 0.0
        self._refresh()

    def epoch(self, name: str, epoch: int, epochs: int) -> None:
        """Advance the bar by an epoch."""
        self._counts.set_epoch(name, epoch, epochs)
        self._refresh()

    def ended(self, name: str, state: Ending, note: str) -> None:
        """Print one permanent line for the training that ended, and advance the bar."""
        self._counts.end(name, state)
        self.say(f"{name}: {state}, {note}" if note else f"{name}: {state}")
        self._refresh()

    def close(self) -> None:
        """Remove the live line."""
        self._drop()
        self._progress.stop()

    def _refresh(self) -> None:
        if self._task is not None:
            done = self._counts.ended + sum(self._counts.running.values())
            self._progress.update(
                self._task, completed=done, total=self._counts.total, note=self._counts.line()
            )

    def _drop(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
