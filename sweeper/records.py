"""Records that packages exchange: frozen dataclasses of text and numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any


class TrialOutcome(StrEnum):
    """How an attempt at a training ended; a worker returns it."""

    COMPLETED = "completed"
    PRUNED = "pruned"
    """The search that tried it stopped it."""
    FAILED = "failed"
    TAKEN = "taken"
    """Another process is training it."""
    DISK_FULL = "disk_full"
    """The disk was full, perhaps too full for a record of the failure."""
    LOST = "lost"
    """The worker's process ended without a result; only the driver reports this outcome."""


class TrialStatus(StrEnum):
    """Status of a training that was started; records and MLflow store the text."""

    STARTED = "started"
    COMPLETED = "completed"
    PRUNED = "pruned"
    FAILED = "failed"

    def after(self, outcome: TrialOutcome) -> TrialStatus:
        """The status after one more attempt."""
        return TRANSITIONS[self][outcome]


_AFTER_AN_ATTEMPT = {
    TrialOutcome.COMPLETED: TrialStatus.COMPLETED,
    TrialOutcome.PRUNED: TrialStatus.PRUNED,
    TrialOutcome.FAILED: TrialStatus.FAILED,
    TrialOutcome.TAKEN: TrialStatus.STARTED,  # by another process
    TrialOutcome.DISK_FULL: TrialStatus.STARTED,  # it continues when there is room
    TrialOutcome.LOST: TrialStatus.FAILED,
}
TRANSITIONS: Mapping[TrialStatus, Mapping[TrialOutcome, TrialStatus]] = {
    TrialStatus.STARTED: _AFTER_AN_ATTEMPT,
    TrialStatus.FAILED: _AFTER_AN_ATTEMPT,  # retried
    TrialStatus.COMPLETED: dict.fromkeys(TrialOutcome, TrialStatus.COMPLETED),
    TrialStatus.PRUNED: dict.fromkeys(TrialOutcome, TrialStatus.PRUNED),
}
"""All transitions of a training's status; completed and pruned are final."""

ENDED = (TrialStatus.COMPLETED, TrialStatus.PRUNED, TrialStatus.FAILED)


class FailureReason(StrEnum):
    """Why a training failed; the engine has a rule for each reason."""

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


_TEST = "/test"
"""Not allowed in a domain's name, so that no domain has the name of an in-domain test."""


def in_domain_test(domain: str) -> str:
    """Target of the test cases of a training's own source, such as `A-ISBI/test`."""
    return f"{domain}{_TEST}"


def is_in_domain_test(target: str) -> bool:
    """True if a row's target is the test cases of a source, which are in no mean over targets."""
    return target.endswith(_TEST)


def domain_of(target: str) -> str:
    """The domain of a row's target, which is that of the source for an in-domain test."""
    return target.removesuffix(_TEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One metric of one case; every table is a query over these rows.

    Attributes:
        train_id: Identity of the training (12 hex digits).
        eval_id: Identity of the evaluation (12 hex digits).
        method: Name of the method, such as `desam`.
        seed: Seed of the training.
        source: Domain that the training used; `A+B` for several.
        target: Domain of the case; one of `source` for a source-validation case.
        case: Case id.
        patient: Whose scan it is: the unit of every test and interval.
        structure: Segmented structure.
        protocol: Name of the scoring protocol.
        metric: Name of the metric.
        value: Value of the metric; nan if undefined.
        n_slices: Number of slices that the value was computed from.
        status: `ok`, or `undefined` if the value is nan.
        diagonal_mm: Length of the scan's diagonal; nan where it was not recorded.
    """

    train_id: str
    eval_id: str
    method: str
    seed: int
    source: str
    target: str
    case: str
    patient: str
    structure: str
    protocol: str
    metric: str
    value: float
    n_slices: int
    status: str
    diagonal_mm: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a training failed, and where its log is.

    Attributes:
        reason: The class of the failure.
        message: One line.
        traceback_hash: 12 hex digits over file names, functions and the exception type; equal bugs
            have equal hashes.
        log_path: The training's log file.
    """

    reason: FailureReason
    message: str
    traceback_hash: str
    log_path: str

    @property
    def note(self) -> str:
        """Reason, message and log file in one line, for the user."""
        return f"{self.reason}: {self.message}; log {self.log_path}"

    def values(self) -> dict[str, str]:
        """The failure as plain values for JSON."""
        return {
            "reason": self.reason.value,
            "message": self.message,
            "traceback_hash": self.traceback_hash,
            "log_path": self.log_path,
        }

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Failure:
        """The failure with these `values`.

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
    """One training as the driver passes it to the tracker, and as the tracker returns it.

    Attributes:
        train_id: Identity of the training.
        sweep: Name of the sweep.
        name: Human name, such as `desam full A-ISBI seed 0`.
        status: How it ended.
        params: The flattened config, `method.name` -> `desam`; values as text.
        tags: source, seed, code version, dataset and encoder fingerprints, `synthetic`, versions,
            git commit, ...
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
    """The resources of one training, and how many trainings run at once.

    Attributes:
        cpu: CPU cores, and as many threads.
        gpu: GPUs; may be a fraction.
        memory_bytes: Host memory, above which the watchdog ends the training; 0: no limit.
        max_concurrent: Number of trainings that run at once.
        shares_processes: True if a worker process is reused for the next training.
        hang_s: Seconds without progress after which a training is taken to hang.
    """

    cpu: int
    gpu: float
    memory_bytes: int
    max_concurrent: int
    shares_processes: bool
    hang_s: float
