"""`sweeper remove`: removes a sweep or single trainings, after saying what that frees."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeper.errors import ConfigError
from sweeper.pipeline.searching.records import StudyDatabase
from sweeper.predict.cells import find_models
from sweeper.store.ledger import Ledger
from sweeper.tracking.mlflow_tracker import MlflowTracker
from sweeper.tracking.tracker import space_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sweeper.store.ledger import TrainingFolder
    from sweeper.store.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What would be removed.

    Attributes:
        sweep: The sweep that disappears from MLflow; None if only trainings do.
        trainings: Their folders, with weights, masks and scores.
        folders: Other folders, such as the sweep's reports.
        space: Name of the sweep's search space; empty if only trainings are removed.
        studies: Identities of its searches in Optuna's file.
        shared: Number of the sweep's trainings that are kept, because another sweep plans them.
        n_bytes: What it frees on the disk.
    """

    sweep: str | None
    trainings: tuple[TrainingFolder, ...]
    folders: tuple[Path, ...]
    space: str
    studies: tuple[str, ...]
    shared: int
    n_bytes: int


def find_sweep(workspace: Workspace, sweep: str) -> Removal:
    """A sweep with its trainings, without those that another sweep plans too.

    Args:
        workspace: The workspace.
        sweep: Name of the sweep, or of its search space.

    Raises:
        SweeperError: There is no such sweep, or one of its trainings is running.
    """
    tracker = MlflowTracker(workspace)
    name = tracker.results([sweep]).sweeps[-1].name
    planned = {
        other.name: {cell["train_id"] for cell in other.plan["cells"]} for other in tracker.sweeps()
    }
    elsewhere = {train_id for other, ids in planned.items() if other != name for train_id in ids}
    # the sweep's searches, and what only they have tried
    (plan,) = (other.plan for other in tracker.sweeps() if other.name == name)
    tried = _tried(workspace)
    studies = {
        (space_of(name), search["study_id"])
        for search in plan.get("searches", ())
        if (space_of(name), search["study_id"]) in tried
    }
    mine = planned[name].union(*(tried[study] for study in studies))
    elsewhere = elsewhere.union(*(ids for study, ids in tried.items() if study not in studies))
    ledger = Ledger(workspace.trainings)
    found = [ledger.folder(train_id) for train_id in sorted(mine - elsewhere)]
    reports = workspace.reports / name
    return _removal(
        name,
        [folder for folder in found if folder.path.is_dir()],
        [reports] if reports.is_dir() else [],
        studies=sorted(study_id for _, study_id in studies),
        shared=len(mine & elsewhere),
    )


def _tried(workspace: Workspace) -> dict[tuple[str, str], set[str]]:
    """(Search space, study id) -> train ids of the trainings that the study has tried."""
    return {
        (path.parent.name, study_id): train_ids
        for path in sorted(workspace.sweeps.glob("*/optuna.db"))
        for study_id, train_ids in StudyDatabase(path).tried().items()
    }


def find_cells(workspace: Workspace, cells: Sequence[str]) -> Removal:
    """The trainings that words name, as in `sweeper predict`; their cells are then missing.

    Raises:
        SweeperError: The words name none, or one of them is running.
    """
    return _removal(None, list(find_models(workspace, cells).trainings), [], shared=0)


def _removal(
    sweep: str | None,
    trainings: Sequence[TrainingFolder],
    folders: Sequence[Path],
    shared: int,
    studies: Sequence[str] = (),
) -> Removal:
    for training in trainings:
        if training.lease_owner() is not None:
            raise ConfigError(
                f"training {training.train_id} is run by {training.lease_owner()}; stop that run"
                " first, then remove it"
            )
    paths = [*(training.path for training in trainings), *folders]
    return Removal(
        sweep=sweep,
        trainings=tuple(trainings),
        folders=tuple(folders),
        space="" if sweep is None else space_of(sweep),
        studies=tuple(studies),
        shared=shared,
        n_bytes=sum(
            file.stat().st_size for path in paths for file in path.rglob("*") if file.is_file()
        ),
    )


def remove(workspace: Workspace, removal: Removal) -> None:
    """Remove what was found: first from MLflow, so that no table shows what is not there.

    Raises:
        TrackingError: The MLflow store cannot be written; then nothing was removed.
    """
    from sweeper.tracking.mlflow_removal import delete_sweep, delete_trainings  # MLflow: seconds

    if removal.sweep is not None:
        delete_sweep(workspace, removal.sweep)
    else:
        delete_trainings(workspace, {training.train_id for training in removal.trainings})
    ledger = Ledger(workspace.trainings)
    for training in removal.trainings:
        ledger.remove(training.train_id)
    for folder in removal.folders:
        shutil.rmtree(folder, ignore_errors=True)
    if removal.studies:
        place = workspace.sweeps / removal.space
        StudyDatabase(place / "optuna.db").remove(removal.studies)
        with suppress(OSError):  # it holds the searches of the space on other data
            place.rmdir()
