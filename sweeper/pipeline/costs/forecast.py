"""Predicted and actual costs of a run, and the correction of predictions by earlier ones."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from sweeper.pipeline.costs.estimate import wall_seconds
from sweeper.store.json_file import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeper.config.sweep import ResourcesConfig
    from sweeper.pipeline.costs.estimate import Estimate
    from sweeper.plan.states import Cell
    from sweeper.store.ledger import Ledger
    from sweeper.store.workspace import Workspace

_MAX_RECORDS = 10
"""Number of earlier runs from which the interval is computed."""
_FIRST_INTERVAL = (0.6, 2.5)
"""Range of actual / predicted cost in a workspace without earlier runs. A probe trains alone;
concurrent trainings on a busy machine took up to twice as long (docs/benchmarks.md)."""
START_SECONDS = 20.0
"""Time until the first training starts: Ray, and torch in its workers (sources.md S52)."""
_NVIDIA = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """Devices on which trainings run.

    Attributes:
        workers: Number of concurrent trainings.
        threads: CPU threads per training.
        gpu: GPUs per training; 0 on a machine without a GPU.
    """

    workers: int
    threads: int
    gpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The predicted cost of the missing trainings on this machine.

    Attributes:
        trainings: Number of missing trainings.
        unknown: Number of these of a kind whose pace is unknown; they are not in the other values.
        training_seconds: Sum over trainings, including scoring.
        wall_seconds: Wall time, including the start.
        low_seconds: Lower limit of the wall time.
        high_seconds: Upper limit of the wall time.
        gpu_hours: Sum over trainings; 0 on a machine without a GPU.
        peak_bytes: Peak memory of the training that needs most.
        origins: Origins of the paces.
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
    """The actual cost of a run.

    Attributes:
        trainings: Number of finished trainings.
        training_seconds: Sum over them, including scoring.
        wall_seconds: Wall time.
        peak_bytes: Peak memory of the training that needed most.
    """

    trainings: int
    training_seconds: float
    wall_seconds: float
    peak_bytes: float


def devices(wanted: ResourcesConfig) -> Devices:
    """The devices for trainings on this machine, by the same rule as in the engine."""
    gpus = len(list(_NVIDIA.iterdir())) if _NVIDIA.is_dir() else 0
    gpu = wanted.gpu if wanted.gpu is not None else float(gpus > 0)
    cores = os.cpu_count() or 1
    threads = wanted.cpu or (4 if gpu else 1)
    capacity = max(1, min(cores // threads, int(gpus / gpu) if gpu else cores))
    workers = min(capacity, wanted.max_concurrent or capacity)
    return Devices(workers=workers, threads=threads, gpu=gpu)


def predict(workspace: Workspace, estimate: Estimate, trainings: int, on: Devices) -> Prediction:
    """The predicted cost, corrected by the error of earlier predictions in this workspace."""
    # the correction and its range, from earlier runs
    ratios = _ratios(workspace)
    correction = median(ratios) if ratios else 1.0
    spread = (*ratios, *(r * correction for r in _FIRST_INTERVAL)) if len(ratios) < 3 else ratios
    # training time and wall time
    seconds = estimate.training_seconds * correction
    start = START_SECONDS if trainings else 0.0
    known = trainings - estimate.unknown

    def wall(total: float) -> float:
        return start + wall_seconds(total, on.workers, known)

    return Prediction(
        trainings=trainings,
        unknown=estimate.unknown,
        training_seconds=seconds,
        wall_seconds=wall(seconds),
        low_seconds=wall(estimate.training_seconds * min(spread, default=1.0)),
        high_seconds=wall(estimate.training_seconds * max(spread, default=1.0)),
        gpu_hours=seconds / 3600 * on.gpu,
        peak_bytes=estimate.peak_bytes,
        origins=estimate.origins,
    )


def has_ended(cell: Cell, ledger: Ledger) -> bool:
    """True if the run finished everything that the cell was missing at the start."""
    folder = ledger.folder(cell.training.train_id)
    if folder.fit() is None:
        return folder.pruned() is not None
    return all(folder.has_evaluation(eval_id) for eval_id in cell.missing)


def actual(ended: Sequence[Cell], ledger: Ledger, wall: float) -> Actual:
    """The actual cost of the trainings that a run finished.

    Args:
        ended: The finished cells, with their state at the start of the run.
        ledger: The ledger with their results.
        wall: Wall time of the run in seconds.
    """
    seconds, peak = 0.0, 0.0
    for cell in ended:
        folder = ledger.folder(cell.training.train_id)
        fit = folder.fit()
        if fit is None:
            seconds += sum(epoch["seconds"] for epoch in folder.epochs())
            continue
        if not cell.is_trained:
            before = folder.continues() or {"seconds": 0.0}
            seconds += float(fit["seconds"]) - float(before["seconds"])
        peak = max(peak, float(fit["peak_memory_bytes"]))
        for eval_id in cell.missing:
            scored = folder.evaluation(eval_id)
            seconds += 0.0 if scored is None else float(scored["seconds"])
    return Actual(
        trainings=len(ended), training_seconds=seconds, wall_seconds=wall, peak_bytes=peak
    )


def record_costs(workspace: Workspace, predicted: Prediction, measured: Actual) -> None:
    """Record predicted and actual costs; later predictions are corrected by these records."""
    is_partial = measured.trainings < predicted.trainings
    if predicted.unknown or is_partial or not measured.training_seconds:
        return  # the run did not do what was predicted
    if not predicted.training_seconds:
        return  # scorings whose pace is not known have no ratio to learn from
    records: list[dict[str, Any]] = read_json(_path(workspace)) or []
    records.append(
        {"time": time.time(), "predicted": asdict(predicted), "actual": asdict(measured)}
        | {"ratio": measured.training_seconds / _uncorrected(workspace, predicted)}
    )
    write_json(_path(workspace), records[-_MAX_RECORDS:])


def _uncorrected(workspace: Workspace, predicted: Prediction) -> float:
    ratios: Sequence[float] = _ratios(workspace)
    return predicted.training_seconds / (median(ratios) if ratios else 1.0)


def _ratios(workspace: Workspace) -> list[float]:
    return [float(record["ratio"]) for record in read_json(_path(workspace)) or []]


def _path(workspace: Workspace) -> Path:
    return workspace.root / "predictions.json"
