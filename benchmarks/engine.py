"""What the engine costs beside the trainings: measured, with the ideal beside it.

    uv run python benchmarks/engine.py [FOLDER] [--part NAME ...] [--epochs 12] [--trainings 24]

Parts: `help`, `plan`, `noop`, `sweep`. The sweep goes through `sweeper run`'s own code, with real
trainings on the phantom; only the worker's function is wrapped, to note times.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median

from desam_model.types import Decision
from sweeper.engine import cluster, driver
from sweeper.pipeline.display import Silent
from sweeper.pipeline.run import RunRequest, run
from sweeper.records import Placement, TrialOutcome
from sweeper.store.workspace import Workspace

PARTS = ("help", "plan", "noop", "sweep")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--trainings", type=int, default=24)
    parser.add_argument("--noops", type=int, default=500)
    parser.add_argument("--cells", type=int, default=2000)
    values = parser.parse_args()
    folder = values.folder or Path(tempfile.mkdtemp(prefix="engine-"))
    folder.mkdir(parents=True, exist_ok=True)
    parts = values.part or PARTS
    print(f"{'what':58} {'measured':>12} {'goal or ideal':>14}")
    if "help" in parts:
        time_help()
    if "noop" in parts:
        time_noops(folder, values.noops)
    if "sweep" in parts:
        time_sweep(folder, values.trainings, values.epochs)
    if "plan" in parts:
        time_plan(folder, values.cells)


def line(what: str, measured: float, form: str, goal: float | None = None) -> None:
    """One row; `form` is a format such as `{:.2f} s`."""
    beside = "" if goal is None else form.format(goal)
    print(f"{what:58} {form.format(measured):>12} {beside:>14}", flush=True)


def command(*words: str) -> float:
    """Wall time of one `sweeper` command in a fresh process, in seconds."""
    began = time.perf_counter()
    subprocess.run(
        [str(Path(sys.executable).parent / "sweeper"), *words], check=True, capture_output=True
    )
    return time.perf_counter() - began


def time_help() -> None:
    seconds = median(command("--help") for _ in range(5))
    line("sweeper --help, median of 5", seconds, "{:.2f} s", 0.3)


def space(folder: Path, name: str, seeds: int, epochs: int) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(
        f"name: {name}\nseeds: {list(range(seeds))}\ntrial:\n  source: A-ISBI\n"
        f"  method: {{name: desam}}\n  training: {{epochs: {epochs}}}\n"
    )
    return path


def time_plan(folder: Path, cells: int) -> None:
    workspace = folder / "workspace"
    if not (workspace / "embeddings").is_dir():
        command("--workspace", str(workspace), "embed")
    path = space(folder, "many", cells, 50)
    words = ("--workspace", str(workspace), "plan", str(path))
    seconds = median(command(*words) for _ in range(3))
    line(f"sweeper plan of {cells} cells, median of 3", seconds, "{:.2f} s", 3.0)


class Jobs:
    """A source of so many equal jobs."""

    def __init__(self, count: int) -> None:
        self._left = [(f"job{i:04}", "x") for i in reversed(range(count))]

    @property
    def is_exhausted(self) -> bool:
        """True once all were handed out."""
        return not self._left

    def next_job(self) -> tuple[str, str] | None:
        """The next one."""
        return self._left.pop() if self._left else None


class Clock:
    """A listener that only notes times."""

    def __init__(self) -> None:
        self.began: list[float] = []
        self.ended: list[float] = []

    def on_start(self, train_id: str) -> None:
        """A training has begun."""
        self.began.append(time.time())

    def on_epoch(self, train_id: str, epoch: dict) -> Decision:
        """Not noted."""
        return Decision.CONTINUE

    def on_end(self, train_id: str, outcome: object, loss: object) -> bool:
        """A training has ended."""
        self.ended.append(time.time())
        return False


def noop(text: str, limit: int, report: object) -> TrialOutcome:
    return TrialOutcome.COMPLETED


def time_noops(folder: Path, count: int) -> None:
    cluster.start(None)
    try:
        placement = Placement(
            cpu=1, gpu=0.0, memory_bytes=0, max_concurrent=2, shares_processes=True
        )
        jobs = Jobs(count)
        clock = Clock()
        before = resource.getrusage(resource.RUSAGE_SELF)
        driver.run_jobs(jobs, placement, clock, folder / "noop", noop)
        after = resource.getrusage(resource.RUSAGE_SELF)
    finally:
        cluster.stop()
    wall = clock.ended[-1] - clock.ended[0]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    line(
        f"{count} no-op trainings: wall time each, after the first",
        1000 * wall / (count - 1),
        "{:.1f} ms",
        60,
    )
    line("  the driver's processor time each", 1000 * cpu / count, "{:.1f} ms", 60)


def timed(text: str, limit: int, report: object) -> TrialOutcome:
    """The worker's own function, with a note of when it began, first trained, and ended."""
    from sweeper.plan.job import TrainingJob
    from sweeper.trial.worker import train_one

    note = {"pid": os.getpid(), "begin": time.time()}

    def told(values: dict) -> None:
        note.setdefault("first_epoch", time.time() - values["seconds"])
        report(values)

    outcome = train_one(text, limit, told)
    note["end"] = time.time()
    with (Path(TrainingJob.from_json(text).folder) / "times.json").open("w") as file:
        json.dump(note, file)
    return outcome


def time_sweep(folder: Path, trainings: int, epochs: int) -> None:
    workspace = Workspace.open(folder / "workspace")
    run(workspace, RunRequest(space=space(folder, "warm", 1, 1)), Silent())  # data and embeddings
    original = driver.run_jobs
    driver.run_jobs = lambda *words: original(*words, timed)
    began = time.time()
    try:
        outcome = run(
            workspace, RunRequest(space=space(folder, "short", trainings, epochs)), Silent()
        )
    finally:
        driver.run_jobs = original
    wall = time.time() - began
    folders = [workspace.trainings / t.train_id for t in outcome.plan.trainings]
    notes = [json.loads((f / "times.json").read_text()) for f in folders]
    workers = len({n["pid"] for n in notes})
    work = sum(trained_seconds(f) for f in folders)
    startup = min(n["first_epoch"] for n in notes) - began
    ideal = work / workers + startup
    gaps = gaps_of(notes)
    what = f"{trainings} trainings of {epochs} epochs, {workers} workers"
    line(f"{what}: wall time", wall, "{:.1f} s", ideal)
    line("  against the ideal (trainings / workers + start-up)", wall / ideal, "{:.2f} x", 1.25)
    line("  training and scoring, mean of one", work / trainings, "{:.2f} s")
    line("  start-up: until the first training trains", startup, "{:.1f} s")
    line("  a warm worker's pause before the next, median", median(gaps), "{:.2f} s", 0.5)
    line("  the longest such pause", max(gaps), "{:.2f} s")
    line("  after the last training", began + wall - max(n["end"] for n in notes), "{:.1f} s")


def trained_seconds(folder: Path) -> float:
    """Training and scoring of one training, as it timed itself."""
    scores = [json.loads(p.read_text()) for p in folder.glob("evaluations/*/scores.json")]
    return json.loads((folder / "fit.json").read_text())["seconds"] + sum(
        s["seconds"] for s in scores
    )


def gaps_of(notes: list[dict]) -> list[float]:
    """From the end of a training to the first epoch of the next one in the same process."""
    gaps = []
    for pid in {n["pid"] for n in notes}:
        mine = sorted((n for n in notes if n["pid"] == pid), key=lambda n: n["begin"])
        gaps += [b["first_epoch"] - a["end"] for a, b in pairwise(mine)]
    return gaps


if __name__ == "__main__":
    main()
