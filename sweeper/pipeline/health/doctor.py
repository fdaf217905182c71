"""`sweeper doctor`: checks every file of a workspace that can become a number, and repairs.

What is damaged is moved aside, never deleted; the same `sweeper run` then makes it again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeper.errors import StoreError, WorkspaceError
from sweeper.pipeline.health.finding import Finding
from sweeper.pipeline.health.stores import (
    dataset_findings,
    embedding_findings,
    weights_findings,
)
from sweeper.pipeline.health.tracking import study_findings, tracking_findings
from sweeper.pipeline.health.trainings import records_without_checksum, training_findings
from sweeper.report.words import counted
from sweeper.store.embeddings.store import EmbeddingStore
from sweeper.store.json_file import read_json
from sweeper.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sweeper.store.ledger import TrainingFolder
    from sweeper.store.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was found.

    Attributes:
        findings: What is damaged.
        checked: What was checked, one text per kind, such as `2 datasets`.
        running: Number of trainings that were not checked because they are running.
        without_checksum: Number of results that an earlier version wrote without a checksum.
    """

    findings: tuple[Finding, ...]
    checked: tuple[str, ...]
    running: int
    without_checksum: int


def examine(workspace: Workspace, say: Callable[[str], None] = lambda _: None) -> Examination:
    """Read every file of a workspace that can become a number; nothing is changed.

    Args:
        workspace: The workspace.
        say: Called with what is checked next.

    Raises:
        WorkspaceError: The folder does not exist.
    """
    if not workspace.root.is_dir():
        raise WorkspaceError(f"there is no workspace at {workspace.root}; name it with --workspace")
    findings: list[Finding] = []
    datasets = sorted(workspace.datasets.glob("[!.]*.zarr"))
    for path in datasets:
        say(f"dataset {path.stem}")
        findings += dataset_findings(path)
    embeddings = sorted(workspace.embeddings.glob("[!.]*.zarr"))
    for path in embeddings:
        say(f"embeddings {path.stem}")
        findings += embedding_findings(path)
    say("weights")
    findings += weights_findings(workspace)
    folders = list(Ledger(workspace.trainings))
    idle = [folder for folder in folders if not _is_running(folder)]
    for number, folder in enumerate(idle, start=1):
        say(f"training {number}/{len(idle)}")
        findings += training_findings(folder)
    say("tracking")
    findings += tracking_findings(workspace)
    studies = sorted(workspace.sweeps.glob("*/optuna.db"))
    for path in studies:
        findings += study_findings(workspace, path)
    findings += _predictions(workspace)
    return Examination(
        findings=tuple(findings),
        checked=(
            counted(len(datasets), "dataset"),
            counted(len(embeddings), "embedding store"),
            counted(len(idle), "training"),
            counted(len(studies), "search database"),
            "MLflow's store" if workspace.mlflow_db.exists() else "no MLflow store yet",
        ),
        running=len(folders) - len(idle),
        without_checksum=sum(records_without_checksum(folder) for folder in idle),
    )


def repair(workspace: Workspace, findings: Sequence[Finding]) -> Path:
    """Move what is damaged aside, and give damaged slices and runs up.

    Returns:
        The folder with everything that was moved, in the same places as in the workspace.

    Raises:
        WorkspaceError: A training is running, so its files may not be touched.
    """
    running = [folder for folder in Ledger(workspace.trainings) if _is_running(folder)]
    if running:
        raise WorkspaceError(
            f"training {running[0].train_id} is running; repair when the run has ended"
        )
    aside = workspace.root / "damaged" / time.strftime("%Y%m%d-%H%M%S")
    for finding in findings:
        if finding.slices:
            _give_up(finding.path, finding.slices)
        if finding.runs:
            from sweeper.tracking.mlflow_removal import delete_runs  # MLflow: seconds

            delete_runs(workspace, finding.runs)
        for path in finding.aside:
            if path.exists():  # not moved already with the folder that it is in
                target = aside / path.relative_to(workspace.root)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.rename(target)
    return aside


def _give_up(path: Path, slices: Sequence[int]) -> None:
    from sweeper.store.embeddings.writer import StoreWriter  # numcodecs

    with StoreWriter(path, EmbeddingStore.open(path).manifest) as writer:
        writer.revoke(slices)


def _is_running(folder: TrainingFolder) -> bool:
    try:
        return folder.lease_owner() is not None
    except (StoreError, KeyError, TypeError, ValueError):
        return False  # a damaged lease is a finding, and a process that runs renews it


def _predictions(workspace: Workspace) -> list[Finding]:
    path = workspace.root / "predictions.json"
    try:
        read_json(path)
    except StoreError:
        remedy = "costs are predicted without it, and later runs write it again"
        problem = "it is not as it was written"
        return [Finding(path=path, problem=problem, remedy=remedy, aside=(path,))]
    return []
