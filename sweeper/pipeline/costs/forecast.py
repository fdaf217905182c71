"""What a run is predicted to cost, what it did cost, and what earlier predictions were worth."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from sweeper.pipeline.costs.estimate import wall_seconds
from sweeper.store.ledger import known_epochs, read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeper.config.sweep import ResourcesConfig
    from sweeper.pipeline.costs.estimate import Estimate
    from sweeper.plan.states import Cell
    from sweeper.store.ledger import Ledger
    from sweeper.store.workspace import Workspace

_KEPT = 10
"""Earlier runs that an interval is made from."""
_FIRST_INTERVAL = (0.6, 2.5)
"""Actual over predicted, before this workspace has seen any. A probe trains alone; side by side on
a machine with other work, trainings were seen to take twice as long (docs/benchmarks.md)."""
START_SECONDS = 20.0
"""From the call to the first training: Ray, and torch in its workers (sources.md S52)."""
_NVIDIA = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """What trainings will run on here.

    Attributes:
        workers: Trainings side by side.
        threads: CPU threads of each.
        gpu: GPUs of each; 0 on a machine without.
    """

    workers: int
    threads: int
    gpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The cost of what is missing, on this machine.

    Attributes:
        trainings: Not done yet.
        unknown: Of these, of a kind whose pace is not known; the numbers are without them.
        training_seconds: Sum over trainings, scorings included.
        wall_seconds: On the clock, start-up included.
        low_seconds: The lower end of what may come of that.
        high_seconds: The upper end.
        gpu_hours: Of all trainings; 0 on a machine without a GPU.
        peak_bytes: Of the hungriest training.
        origins: Where the paces came from.
    """

    trainings: int
    unknown: int
    training_seconds: float
    wall_seconds: float
    low_seconds: float
    high_seconds: float
    gpu_hours: float
    peak_bytes: float
    origins: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Actual:
    """What a run did cost.

    Attributes:
        trainings: That it ran to their end.
        training_seconds: Sum over them, scorings included.
        wall_seconds: On the clock.
        peak_bytes: Of the hungriest.
    """

    trainings: int
    training_seconds: float
    wall_seconds: float
    peak_bytes: float


def devices(wanted: ResourcesConfig) -> Devices:
    """What this machine gives trainings, by the rule that the engine follows."""
    gpus = len(list(_NVIDIA.iterdir())) if _NVIDIA.is_dir() else 0
    gpu = wanted.gpu if wanted.gpu is not None else float(gpus > 0)
    cores = os.cpu_count() or 1
    threads = wanted.cpu or (4 if gpu else 1)
    fitting = max(1, min(cores // threads, int(gpus / gpu) if gpu else cores))
    return Devices(workers=min(fitting, wanted.max_concurrent or fitting), threads=threads, gpu=gpu)


def predict(workspace: Workspace, estimate: Estimate, trainings: int, on: Devices) -> Prediction:
    """The cost of so many trainings, corrected by how far earlier predictions were off here."""
    ratios = _ratios(workspace)
    correction = median(ratios) if ratios else 1.0
    spread = (*ratios, *(r * correction for r in _FIRST_INTERVAL)) if len(ratios) < 3 else ratios
    seconds = estimate.training_seconds * correction
    start = START_SECONDS if trainings else 0.0
    known = trainings - estimate.unknown

    def on_the_clock(total: float) -> float:
        return start + wall_seconds(total, on.workers, known)

    return Prediction(
        trainings=trainings,
        unknown=estimate.unknown,
        training_seconds=seconds,
        wall_seconds=on_the_clock(seconds),
        low_seconds=on_the_clock(estimate.training_seconds * min(spread, default=1.0)),
        high_seconds=on_the_clock(estimate.training_seconds * max(spread, default=1.0)),
        gpu_hours=seconds / 3600 * on.gpu,
        peak_bytes=estimate.peak_bytes,
        origins=estimate.origins,
    )


def has_ended(cell: Cell, ledger: Ledger) -> bool:
    """True if a run brought to its end what the cell lacked when the run began."""
    folder = ledger.folder(cell.training.train_id)
    if folder.fit() is None:
        return folder.pruned() is not None
    return all(folder.has_evaluation(eval_id) for eval_id in cell.missing)


def actual(ended: Sequence[Cell], ledger: Ledger, wall: float) -> Actual:
    """What the trainings cost that a run brought to their end.

    Args:
        ended: These, as they were when it began.
        ledger: Holds what came of them.
        wall: Seconds that the run took.
    """
    seconds, peak = 0.0, 0.0
    for cell in ended:
        folder = ledger.folder(cell.training.train_id)
        fit = folder.fit()
        if fit is None:
            seconds += sum(record["seconds"] for record in known_epochs(folder))
            continue
        seconds += 0.0 if cell.is_trained else float(fit["seconds"])
        peak = max(peak, float(fit["peak_memory_bytes"]))
        for eval_id in cell.missing:
            scored = folder.evaluation(eval_id)
            seconds += 0.0 if scored is None else float(scored["seconds"])
    return Actual(
        trainings=len(ended), training_seconds=seconds, wall_seconds=wall, peak_bytes=peak
    )


def remember(workspace: Workspace, predicted: Prediction, came: Actual) -> None:
    """Keep a prediction with what came of it: the next one's interval is made from these."""
    if predicted.unknown or came.trainings < predicted.trainings:
        return  # what was predicted is not what was run
    if not came.training_seconds or not predicted.training_seconds:
        return  # no pace was known, so that no ratio is
    known: list[dict[str, Any]] = read_json(_path(workspace)) or []
    known.append(
        {"time": time.time(), "predicted": asdict(predicted), "actual": asdict(came)}
        | {"ratio": came.training_seconds / _uncorrected(workspace, predicted)}
    )
    write_json(_path(workspace), known[-_KEPT:])


def _uncorrected(workspace: Workspace, predicted: Prediction) -> float:
    ratios: Sequence[float] = _ratios(workspace)
    return predicted.training_seconds / (median(ratios) if ratios else 1.0)


def _ratios(workspace: Workspace) -> list[float]:
    return [float(one["ratio"]) for one in read_json(_path(workspace)) or []]


def _path(workspace: Workspace) -> Path:
    return workspace.root / "predictions.json"
