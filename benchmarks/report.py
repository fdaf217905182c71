"""How long a report of 1,000 trainings takes, against reading the same runs with MLflow's client.

    uv run python benchmarks/report.py [FOLDER]

The store is made with the product's own tracker: 1,000 trainings of 60 epochs, 100 cases each under
both protocols. FOLDER keeps it for a second run.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from desam_model.scoring.metric_table import metrics
from sweeper.records import Row, TrainingRecord, TrialStatus
from sweeper.store.workspace import Workspace
from sweeper.tracking.mlflow_tracker import MlflowTracker
from sweeper.tracking.tracker import TrainingStart

if TYPE_CHECKING:
    from collections.abc import Callable

SITES = ("A-ISBI", "B-ISBI_1.5", "C-I2CVB", "D-UCL", "E-BIDMC", "F-HK")
N_TRAININGS, N_EPOCHS, N_CASES = 1000, 60, 100
GOAL_SECONDS = 5.0
SWEEP = "thousand@generated"


def training(index: int, generator: np.random.Generator) -> TrainingRecord:
    source = SITES[index % len(SITES)]
    method = f"method{index // len(SITES) % 12}"
    seed = index // (len(SITES) * 12)
    train_id, eval_id = f"{index:012x}", f"{index:011x}e"
    targets = [site for site in SITES if site != source]
    rows = []
    for case in range(N_CASES):
        for protocol in ("desam2024", "strict"):
            numbers = generator.uniform(0.5, 0.9, len(metrics()))
            for metric, value in zip(metrics(), numbers, strict=True):
                rows.append(
                    Row(
                        train_id=train_id,
                        eval_id=eval_id,
                        method=method,
                        seed=seed,
                        source=source,
                        target=targets[case % len(targets)],
                        case=f"case{case:03d}",
                        patient=f"case{case:03d}",
                        structure="prostate",
                        protocol=protocol,
                        metric=metric,
                        value=float(value),
                        n_slices=12,
                        status="ok",
                    )
                )
    params = {"method.name": method, "source": source, "seed": str(seed), "structure": "prostate"}
    params |= {f"training.option{i}": "1" for i in range(26)}
    return TrainingRecord(
        train_id=train_id,
        sweep=SWEEP,
        name=f"{method} {source} seed {seed}",
        status=TrialStatus.COMPLETED,
        params=params,
        tags={"synthetic": "true", "code_version": "c", "dataset": "generated"},
        epochs=tuple({"train_loss": 1 / (e + 1), "source_dice": 0.5} for e in range(N_EPOCHS)),
        summary={"seconds": 60.0, "selected_epoch": 3.0},
        evaluations={eval_id: {"grid_size": "9"}},
        rows=tuple(rows),
    )


def fill(workspace: Workspace) -> None:
    tracker = MlflowTracker(workspace)
    generator = np.random.default_rng(0)
    records = [training(i, generator) for i in range(N_TRAININGS)]
    cells = [
        {"train_id": r.train_id, "eval_id": e, "params": dict(r.params), "evaluation": dict(s)}
        for r in records
        for e, s in r.evaluations.items()
    ]
    plan = {
        "cells": cells,
        "report": {"columns": "source"},
        "dataset": {"domains": list(SITES)},
        "encoder": {},
    }
    tracker.prepare(SWEEP, plan)
    started = time.perf_counter()
    for record in records:
        tracker.log_training(record)
    seconds = time.perf_counter() - started
    each = 1000 * seconds / N_TRAININGS
    print(f"logged {N_TRAININGS} trainings in {seconds:.0f} s, {each:.0f} ms each")


def live() -> None:
    """What a sweep's driver pays for curves that grow while a training runs."""
    parts = ("train_loss", "validation_loss", "source_dice", "lr", "seconds", "a", "b", "c")
    epoch = dict.fromkeys(parts, 0.5)
    texts = {f"key{i}": "1" for i in range(40)}
    seconds: dict[str, list[float]] = {"begin": [], "one epoch": [], "ten epochs": []}
    with tempfile.TemporaryDirectory() as folder:
        tracker = MlflowTracker(Workspace.open(Path(folder)))
        tracker.prepare(SWEEP, {"cells": [], "report": {}, "dataset": {}, "encoder": {}})
        for i in range(20):
            start = TrainingStart(
                train_id=str(i), sweep=SWEEP, name=f"run {i}", params=texts, tags=texts
            )
            calls: dict[str, Callable[[], None]] = {
                "begin": partial(tracker.begin_training, start),
                "one epoch": partial(tracker.log_epochs, SWEEP, str(i), {0: epoch}),
                "ten epochs": partial(
                    tracker.log_epochs, SWEEP, str(i), dict.fromkeys(range(1, 11), epoch)
                ),
            }
            for name, call in calls.items():
                started = time.perf_counter()
                call()
                seconds[name].append(time.perf_counter() - started)
    for name, found in seconds.items():
        print(f"live curves, {name}: {1000 * median(found):.1f} ms (8 numbers an epoch)")


CLIENT = """
import sys
from mlflow import MlflowClient
client = MlflowClient(tracking_uri=sys.argv[1])
(experiment,) = [e for e in client.search_experiments() if e.name == 'thousand']
runs, token = [], None
while True:
    page = client.search_runs([experiment.experiment_id], max_results=1000, page_token=token)
    runs += page
    token = page.token
    if not token:
        break
print(len(runs))
"""


def timed(command: list[str], times: int = 1) -> tuple[float, float]:
    """Wall time of the fastest of some calls, and the CPU time of that call, in seconds."""
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    found = []
    for _ in range(times):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        wall = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        found.append((wall, cpu))
    return min(found)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp())
    workspace = Workspace.open(folder)
    if not workspace.mlflow_db.exists():
        fill(workspace)
    product = [str(Path(sys.executable).parent / "sweeper"), "--workspace", str(folder), "report"]
    starred = [*product, "--baseline", "method0"]
    calls = {
        "sweeper report": (product, 3),
        "the same with stars (--baseline)": (starred, 3),
        "... and with --statistics": ([*starred, "--statistics"], 3),
        "sweeper report --format long (600,000 rows)": ([*product, "--format", "long"], 1),
        "MLflow's client, runs only, no rows": (
            [sys.executable, "-c", CLIENT, f"sqlite:///{workspace.mlflow_db}"],
            2,
        ),
    }
    live()
    print(f"whole commands, goal {GOAL_SECONDS} s of wall time")
    for name, (command, times) in calls.items():
        wall, cpu = timed(command, times)
        print(f"{name:45} wall {wall:5.2f} s   CPU {cpu:5.2f} s", flush=True)


if __name__ == "__main__":
    main()
