"""The tracker interface, and the records that it returns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from sweeper.records import TrainingRecord, TrialStatus


class TrackingPlaces(Protocol):
    """Paths of a workspace's tracking data."""

    @property
    def mlflow_db(self) -> Path:
        """MLflow's SQLite file."""

    @property
    def mlflow_artifacts(self) -> Path:
        """MLflow's artifact folder."""


class Score(NamedTuple):
    """The metrics of one case under one protocol, as a run stores them.

    Attributes:
        eval_id: Identity of the evaluation.
        target: Domain of the case.
        case: Case id.
        structure: Segmented structure.
        protocol: Name of the scoring protocol.
        n_slices: Number of slices that the metrics were computed from.
        values: Metric -> value; nan if undefined. Metrics that were not computed are absent.
        patient: The patient of the case; empty if the case is its own patient.
        diagonal_mm: Length of the scan's diagonal; nan if it was not recorded.
    """

    eval_id: str
    target: str
    case: str
    structure: str
    protocol: str
    n_slices: int
    values: Mapping[str, float]
    patient: str = ""
    diagonal_mm: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """One training as the tracker stores it: its latest attempt.

    Attributes:
        run_id: The tracker's id of the run.
        sweep: Name of the sweep.
        name: Human name.
        status: How it ended.
        params: The flattened config.
        tags: See `TrainingRecord.tags`.
        summary: Final values by metric name.
        evaluations: eval_id -> flattened settings of the evaluation.
        scores: Scores of all cases in all evaluations.
        artifacts: Folder of the run's files.
    """

    run_id: str
    sweep: str
    name: str
    status: TrialStatus
    params: Mapping[str, str]
    tags: Mapping[str, str]
    summary: Mapping[str, float]
    evaluations: Mapping[str, Mapping[str, str]]
    scores: tuple[Score, ...]
    artifacts: Path

    @property
    def train_id(self) -> str:
        """Identity of the training."""
        return self.tags["train_id"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedSweep:
    """A sweep as the tracker stores it.

    Attributes:
        name: Name of the sweep.
        run_id: Id of the parent run.
        experiment_id: Id of the MLflow experiment.
        plan: The plan that was passed to `Tracker.prepare`.
        artifacts: Folder of the parent run's files.
    """

    name: str
    run_id: str
    experiment_id: str
    plan: Mapping[str, Any]
    artifacts: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedResults:
    """Tracked sweeps and runs, the input of a report.

    Attributes:
        sweeps: The requested sweeps.
        runs: Their trainings, the latest attempt of each.
        others: Names of other sweeps of the same search spaces, on other data or encoders.
    """

    sweeps: tuple[TrackedSweep, ...]
    runs: tuple[TrackedRun, ...]
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStart:
    """A training that starts.

    Attributes:
        train_id: Identity of the training.
        sweep: Name of the sweep.
        name: Human name.
        params: The flattened config.
        tags: As in `TrainingRecord`, but only those known before the training ends.
    """

    train_id: str
    sweep: str
    name: str
    params: Mapping[str, str]
    tags: Mapping[str, str]


def sweep_name(space: str, datasets: Iterable[str], encoders: Iterable[str]) -> str:
    """Name of a sweep, such as `ablation@phantom-vit_tiny`.

    One space on two datasets, or with two encoders, is two sweeps. If its methods read only images,
    the name has no encoder.
    """
    parts = [",".join(sorted(set(names))) for names in (datasets, encoders)]
    return f"{space}@{'-'.join(part for part in parts if part)}"


def space_of(sweep: str) -> str:
    """Name of a sweep's search space."""
    return sweep.partition("@")[0]


class Tracker(Protocol):
    """Stores sweeps; only the driver uses one. Every call may be repeated without harm."""

    def prepare(self, sweep: str, plan: Mapping[str, Any]) -> None:
        """Store a sweep's plan; a changed plan replaces the old one."""

    def log_training(self, record: TrainingRecord) -> str:
        """Store a training that has ended, replacing its earlier record; returns the run's id."""

    def begin_training(self, start: TrainingStart) -> None:
        """Open the run of a training that starts, so that its curves can be watched."""

    def log_epochs(
        self, sweep: str, train_id: str, epochs: Mapping[int, Mapping[str, float]]
    ) -> None:
        """Add epochs, by number, to the curves of a running training."""

    def close_interrupted(self, sweep: str, running: Collection[str]) -> None:
        """End the open runs of trainings that are not in `running`."""

    def logged(self, sweep: str) -> dict[str, set[str]]:
        """train_id -> eval_ids that are stored, for each completed training of a sweep."""

    def results(self, sweeps: Sequence[str] | None = None) -> TrackedResults:
        """Stored results of the named sweeps, or of the latest one."""
