"""Records that cross between rooms of the product: plain, frozen, made of text and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any


class TrialOutcome(StrEnum):
    """How an attempt at a training ended: what a worker returns."""

    COMPLETED = "completed"
    PRUNED = "pruned"
    """The search that tried it stopped it."""
    FAILED = "failed"
    TAKEN = "taken"
    """Another process has it."""
    DISK_FULL = "disk_full"
    """There was no room, maybe not even for a record of it."""
    LOST = "lost"
    """No worker's word but the driver's: its process is gone without one."""


class TrialStatus(StrEnum):
    """Where a training stands once it was begun; the text is what records and MLflow keep."""

    BEGUN = "begun"
    COMPLETED = "completed"
    PRUNED = "pruned"
    FAILED = "failed"

    def after(self, outcome: TrialOutcome) -> TrialStatus:
        """Where it stands after one more attempt."""
        return TRANSITIONS[self][outcome]


_AFTER_AN_ATTEMPT = {
    TrialOutcome.COMPLETED: TrialStatus.COMPLETED,
    TrialOutcome.PRUNED: TrialStatus.PRUNED,
    TrialOutcome.FAILED: TrialStatus.FAILED,
    TrialOutcome.TAKEN: TrialStatus.BEGUN,  # by another process
    TrialOutcome.DISK_FULL: TrialStatus.BEGUN,  # it continues when there is room
    TrialOutcome.LOST: TrialStatus.FAILED,
}
TRANSITIONS: Mapping[TrialStatus, Mapping[TrialOutcome, TrialStatus]] = {
    TrialStatus.BEGUN: _AFTER_AN_ATTEMPT,
    TrialStatus.FAILED: _AFTER_AN_ATTEMPT,  # tried again
    TrialStatus.COMPLETED: dict.fromkeys(TrialOutcome, TrialStatus.COMPLETED),
    TrialStatus.PRUNED: dict.fromkeys(TrialOutcome, TrialStatus.PRUNED),
}
"""Every change of a training's status: what is completed or pruned stays so."""

ENDED = (TrialStatus.COMPLETED, TrialStatus.PRUNED, TrialStatus.FAILED)


class FailureReason(StrEnum):
    """Why a training failed; each class has its own rule in the engine."""

    CUDA_OOM = "cuda_oom"
    HOST_OOM = "host_oom"
    PREEMPTED = "preempted"
    DISK_FULL = "disk_full"
    NON_FINITE = "non_finite"
    DATA = "data"
    BUG = "bug"
    LOST_NODE = "lost_node"
    HUNG = "hung"
    CODE_CHANGED = "code_changed"

    @property
    def is_final(self) -> bool:
        """True if the training would fail so again; `sweeper retry` runs it all the same."""
        return self in _FINAL


_FINAL = frozenset(
    {FailureReason.BUG, FailureReason.NON_FINITE, FailureReason.DATA, FailureReason.HUNG}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One number of one case: the unit that every table is a query over.

    Attributes:
        train_id: Identity of the training (12 hex digits).
        eval_id: Identity of the evaluation (12 hex digits).
        method: Name of the method, such as `desam`.
        seed: Seed of the training.
        source: Domain trained on.
        target: Domain of the case; equal to `source` for a source-validation case.
        case: Case id.
        structure: Segmented structure.
        protocol: Name of the scoring protocol.
        metric: Name of the metric.
        value: The number; nan where undefined.
        n_slices: Slices that entered the number.
        status: `ok`, or `undefined` where the value is nan.
    """

    train_id: str
    eval_id: str
    method: str
    seed: int
    source: str
    target: str
    case: str
    structure: str
    protocol: str
    metric: str
    value: float
    n_slices: int
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What is known of a failed training.

    Attributes:
        reason: The class of the failure.
        message: One line.
        traceback_hash: 12 hex digits over file names, functions and the exception type; equal bugs
            have equal hashes.
        log_path: The training's own log.
    """

    reason: FailureReason
    message: str
    traceback_hash: str
    log_path: str

    @property
    def note(self) -> str:
        """All that a person needs to know of it, in one line."""
        return f"{self.reason}: {self.message}; log {self.log_path}"

    def values(self) -> dict[str, str]:
        """As JSON keeps it."""
        return {
            "reason": self.reason.value,
            "message": self.message,
            "traceback_hash": self.traceback_hash,
            "log_path": self.log_path,
        }

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Failure:
        """The failure that gave `values`.

        Raises:
            ValueError: The reason is not one of `FailureReason`, or a key is missing.
        """
        missing = {"reason", "message", "traceback_hash", "log_path"} - values.keys()
        if missing:
            raise ValueError(f"{', '.join(sorted(missing))} is missing")
        return cls(
            reason=FailureReason(values["reason"]),
            message=str(values["message"]),
            traceback_hash=str(values["traceback_hash"]),
            log_path=str(values["log_path"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecord:
    """One training as the driver hands it to the tracker, and as the tracker gives it back.

    Attributes:
        train_id: Identity of the training.
        sweep: Name of the sweep.
        name: Human name, such as `desam full A-ISBI seed 0`.
        status: How it ended.
        params: The flattened config, `method.name` -> `desam`; values as text.
        tags: source, seed, code version, dataset and encoder fingerprints, `synthetic`, versions,
            git commit ...
        epochs: Per epoch `{train_loss, validation_loss, source_dice, lr, seconds, ...}`; the index
            is the epoch.
        summary: Final numbers: `selected_epoch`, `seconds`, `peak_memory_bytes`,
            `trainable_parameters` ...
        evaluations: Per eval_id its flattened settings (`grid_size` -> `9`).
        rows: Every row of every evaluation.
        failure: Set if status is FAILED.
        artifacts: Files to keep with the run (overlays, logs), by name inside the run.
    """

    train_id: str
    sweep: str
    name: str
    status: TrialStatus
    params: Mapping[str, str]
    tags: Mapping[str, str]
    epochs: tuple[Mapping[str, float], ...]
    summary: Mapping[str, float]
    evaluations: Mapping[str, Mapping[str, str]]
    rows: tuple[Row, ...]
    failure: Failure | None = None
    artifacts: Mapping[str, Path] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What one training gets, and how many run at once.

    Attributes:
        cpu: Cores and threads.
        gpu: GPUs, a fraction allowed.
        memory_bytes: Host memory; also the limit of the guard. 0: none.
        max_concurrent: Trainings at once.
        shares_processes: True if a worker takes the next training without a new process.
    """

    cpu: int
    gpu: float
    memory_bytes: int
    max_concurrent: int
    shares_processes: bool
