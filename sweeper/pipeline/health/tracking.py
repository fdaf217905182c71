"""Checks the SQLite files of a workspace, MLflow's and Optuna's, against what was written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from sweeper.errors import SweeperError
from sweeper.pipeline.health.finding import Finding
from sweeper.pipeline.searching.records import StudyDatabase
from sweeper.store.ledger import Ledger
from sweeper.tracking.mlflow_reader import MlflowReader

if TYPE_CHECKING:
    from pathlib import Path

    from sweeper.store.workspace import Workspace

_LOGS_AGAIN = "`sweeper run` logs it again from the trainings"


def tracking_findings(workspace: Workspace) -> list[Finding]:
    """What is damaged in MLflow's store: the database, runs in it, and their files."""
    database = workspace.mlflow_db
    reader = MlflowReader(database, workspace.mlflow_artifacts)
    problem = reader.problem()
    if problem:
        return [_whole(workspace, problem)]
    try:
        plans = reader.damaged_plans()
        runs = [run for sweep in reader.sweep_names() for run in reader.damaged_runs(sweep)]
    except (SweeperError, ValueError, TypeError) as err:  # text that is no UTF-8, a lost column
        return [_whole(workspace, str(err))]
    return [
        Finding(
            path=path,
            problem="it is not as it was written",
            remedy="`sweeper run` writes it again",
            aside=(path,),
        )
        for path in plans
    ] + [
        Finding(
            path=database,
            problem=f"run {run_id} ({name}) is not as it was written",
            remedy=_LOGS_AGAIN,
            runs=(run_id,),
        )
        for run_id, name in runs
    ]


def _whole(workspace: Workspace, problem: str) -> Finding:
    aside = [*_with_journals(workspace.mlflow_db), workspace.mlflow_artifacts]
    remedy = "`sweeper run` of each sweep logs everything again from the trainings"
    return Finding(
        path=workspace.mlflow_db,
        problem=problem,
        remedy=remedy,
        aside=tuple(path for path in aside if path.exists()),
    )


def study_findings(workspace: Workspace, database: Path) -> list[Finding]:
    """What is damaged in a database of searches, or differs from what its trainings recorded."""
    from sweeper.search.verify import changed_trials  # Optuna: a second

    ledger = Ledger(workspace.trainings)
    problem = _sqlite_problem(database)
    if not problem:
        try:
            changed = changed_trials(
                StudyDatabase(database).open(), lambda train_id: ledger.folder(train_id).epochs()
            )
        except Exception as err:  # whatever Optuna and SQLAlchemy meet in a damaged file
            changed = [f"{type(err).__name__}: {str(err).splitlines()[0]}"]
        if changed:
            problem = f"it is not as it was written ({changed[0]})"
    if not problem:
        return []
    remedy = "`sweeper run` searches again, with the trainings that are there"
    return [
        Finding(
            path=database, problem=problem, remedy=remedy, aside=tuple(_with_journals(database))
        )
    ]


def _sqlite_problem(database: Path) -> str:
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except (sqlite3.Error, ValueError) as err:
        return str(err)
    return "" if found == "ok" else str(found).replace("\n", " ")


def _with_journals(database: Path) -> list[Path]:
    names = (database.name, f"{database.name}-wal", f"{database.name}-shm")
    return [path for name in names if (path := database.with_name(name)).exists()]
