"""What keeps the results of sweeps, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from sweeper.records import TrainingRecord, TrialStatus


class TrackingPlaces(Protocol):
    """Where a workspace keeps what is tracked."""

    @property
    def mlflow_db(self) -> Path:
        """MLflow's SQLite file."""

    @property
    def mlflow_artifacts(self) -> Path:
        """MLflow's artifact folder."""


class Score(NamedTuple):
    """The numbers of one case under one protocol, as a run keeps them.

    Attributes:
        eval_id: Identity of the evaluation.
        target: Domain of the case.
        case: Case id.
        structure: Segmented structure.
        protocol: Name of the scoring protocol.
        n_slices: Slices that entered the numbers.
        values: Those metrics by name that the case was scored by; nan where undefined.
    """

    eval_id: str
    target: str
    case: str
    structure: str
    protocol: str
    n_slices: int
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """One training as the tracker holds it: its newest attempt.

    Attributes:
        run_id: Id of the tracker's own.
        sweep: Name of the sweep.
        name: Human name.
        status: How it ended.
        params: The flattened config.
        tags: See `TrainingRecord.tags`.
        summary: Final numbers.
        evaluations: Per eval_id its flattened settings.
        scores: Every case of every evaluation.
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
    """A sweep as the tracker holds it.

    Attributes:
        name: Its name.
        run_id: Id of the parent run.
        experiment_id: Id of its experiment.
        plan: What was handed to `Tracker.prepare`.
        artifacts: Folder of the parent run's files.
    """

    name: str
    run_id: str
    experiment_id: str
    plan: Mapping[str, Any]
    artifacts: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedResults:
    """What a report is made from.

    Attributes:
        sweeps: The sweeps asked for.
        runs: Their trainings, newest attempt of each.
        others: Names of further sweeps of the same search spaces, on other data or encoders.
    """

    sweeps: tuple[TrackedSweep, ...]
    runs: tuple[TrackedRun, ...]
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStart:
    """A training that begins.

    Attributes:
        train_id: Identity of the training.
        sweep: Name of the sweep.
        name: Human name.
        params: The flattened config.
        tags: As in `TrainingRecord`, so far as they are known before the end.
    """

    train_id: str
    sweep: str
    name: str
    params: Mapping[str, str]
    tags: Mapping[str, str]


def sweep_name(space: str, datasets: Iterable[str], encoders: Iterable[str]) -> str:
    """Name of a sweep: one space on two datasets, or with two encoders, is two sweeps.

    Such as `ablation@phantom-vit_tiny`; a space of methods that read images alone has no encoder.
    """
    parts = [",".join(sorted(set(names))) for names in (datasets, encoders)]
    return f"{space}@{'-'.join(part for part in parts if part)}"


def space_of(sweep: str) -> str:
    """Name of the search space that a sweep belongs to."""
    return sweep.partition("@")[0]


class Tracker(Protocol):
    """Keeps sweeps; only the driver holds one, and everything it takes may be said twice."""

    def prepare(self, sweep: str, plan: Mapping[str, Any]) -> None:
        """Keep a sweep's plan; a changed plan replaces the old one."""

    def log_training(self, record: TrainingRecord) -> str:
        """Keep a training that has ended; the run's id. Logged again, it replaces itself."""

    def begin_training(self, start: TrainingStart) -> None:
        """Open the run of a training that begins, so that its curves can be watched."""

    def log_epochs(
        self, sweep: str, train_id: str, epochs: Mapping[int, Mapping[str, float]]
    ) -> None:
        """Add epochs, by number, to the curves of a training that was begun."""

    def close_interrupted(self, sweep: str, running: Collection[str]) -> None:
        """End the runs of trainings that are not among those running."""

    def logged(self, sweep: str) -> dict[str, set[str]]:
        """Per completed training of a sweep the evaluations that are kept."""

    def results(self, sweeps: Sequence[str] | None = None) -> TrackedResults:
        """What is kept of some sweeps, or of the latest one."""
