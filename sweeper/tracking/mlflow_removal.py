"""Deletes runs from the MLflow store of a workspace; MLflow hides them until its `gc`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweeper.tracking.mlflow_store import MlflowStore

if TYPE_CHECKING:
    from collections.abc import Collection

    from sweeper.tracking.tracker import TrackingPlaces

_PAGE = 1000


def delete_sweep(workspace: TrackingPlaces, sweep: str) -> int:
    """Delete the run of a sweep and those of its trainings; returns their number.

    Raises:
        TrackingError: The store cannot be written.
    """
    return _delete(workspace, f"tags.sweep = '{sweep}'", None)


def delete_trainings(workspace: TrackingPlaces, train_ids: Collection[str]) -> int:
    """Delete the runs of trainings in every sweep; returns their number.

    Raises:
        TrackingError: The store cannot be written.
    """
    return _delete(workspace, "tags.kind = 'training'", train_ids)


def delete_runs(workspace: TrackingPlaces, run_ids: Collection[str]) -> None:
    """Delete single runs.

    Raises:
        TrackingError: The store cannot be written.
    """
    with MlflowStore(workspace.mlflow_db, workspace.mlflow_artifacts).writing() as client:
        for run_id in run_ids:
            client.delete_run(run_id)


def _delete(workspace: TrackingPlaces, condition: str, train_ids: Collection[str] | None) -> int:
    count = 0
    with MlflowStore(workspace.mlflow_db, workspace.mlflow_artifacts).writing() as client:
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        runs: list[Any] = []
        token = None
        while True:
            page = client.search_runs(experiments, condition, max_results=_PAGE, page_token=token)
            runs += page
            token = page.token
            if not token:
                break
        for run in runs:
            if train_ids is None or run.data.tags.get("train_id") in train_ids:
                client.delete_run(run.info.run_id)
                count += 1
    return count
