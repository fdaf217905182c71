"""Keeps sweeps in MLflow: the only writer, and the only module that imports mlflow.

One experiment a sweep, one parent run with the plan, one child run a training. Everything goes
through an explicit client and run id; nothing is written by workers.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from sweeper.errors import TrackingError
from sweeper.records import TrialStatus
from sweeper.tracking.mlflow_reader import EVALUATION_TAG, PLAN_FILE, MlflowReader, artifact_folder
from sweeper.tracking.rows_file import ROWS_FILE, decode, encode, scores_of
from sweeper.tracking.run_metrics import epoch_metrics, final_metrics
from sweeper.tracking.tracker import TrackedResults

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from sweeper.records import TrainingRecord
    from sweeper.tracking.tracker import TrackedSweep, TrackingPlaces

_MLFLOW_STATUS = {
    TrialStatus.COMPLETED: "FINISHED",
    TrialStatus.PRUNED: "KILLED",
    TrialStatus.FAILED: "FAILED",
}
_BATCH_METRICS = 1000  # MLflow's limit for one log_batch
_BATCH_KEYS = 100  # the same for parameters and for tags


class MlflowTracker:
    """A `Tracker` on the SQLite store of a workspace; see `Tracker` for what each method does.

    Reading never imports mlflow. Not safe for two threads; two processes may write at once.
    """

    def __init__(self, workspace: TrackingPlaces) -> None:
        self._database = workspace.mlflow_db
        self._artifacts = workspace.mlflow_artifacts
        self._reader = MlflowReader(workspace.mlflow_db)
        self._opened: Any = None

    def prepare(self, sweep: str, plan: Mapping[str, Any]) -> None:
        """Keep a sweep's plan, and make the sweep the latest one.

        Nothing is written, and mlflow is not imported, where both are so already.

        Raises:
            TrackingError: The store cannot be written.
        """
        sweeps = self._reader.sweeps()
        known = next((found for found in sweeps if found.name == sweep), None)
        plain = json.loads(json.dumps(plan))
        if known is not None and known.plan == plain and sweeps[-1].name == sweep:
            return
        with self._writing() as client:
            run_id = known.run_id if known is not None else self._create_parent(client, sweep)
            client.log_dict(run_id, plain, PLAN_FILE)
            client.set_tag(run_id, "prepared_at", repr(time.time()))
            client.set_tag(run_id, "mlflow.note.content", str(plain.get("description", "")))
            for group in ("dataset", "encoder"):
                for key, value in plain.get(group, {}).items():
                    client.set_tag(run_id, f"{group}.{key}", _text(value))

    def log_training(self, record: TrainingRecord) -> str:
        """Keep a training that has ended; the run's id.

        A training that failed and was tried again gets a new run; one that gained evaluations
        keeps its run.

        Raises:
            TrackingError: The store cannot be written.
        """
        with self._writing() as client:
            parent = self._parent(client, record.sweep)
            run_id, attempt = self._child(client, parent, record)
            folder = artifact_folder(client.get_run(run_id).info.artifact_uri)
            _log_texts(client, run_id, record.params, _tags(record, attempt))
            now = int(time.time() * 1000)
            scores = scores_of(record.rows)
            _log_metrics(client, run_id, epoch_metrics(record.epochs, now))
            _log_metrics(client, run_id, final_metrics(record, scores, now))
            kept = [s for s in decode(folder / ROWS_FILE) if s.eval_id not in record.evaluations]
            client.log_text(run_id, encode((*kept, *scores)), ROWS_FILE)
            for name, path in (record.artifacts or {}).items():
                _log_file(client, run_id, name, path)
            client.set_terminated(run_id, _MLFLOW_STATUS[record.status])
            # last, so that a run without it is known as half written
            client.set_tag(run_id, "status", record.status.value)
            return run_id

    def attach(self, sweep: TrackedSweep, files: Mapping[str, Path]) -> None:
        """Keep files (tables, figures, the page) with a sweep's parent run, by name."""
        with self._writing() as client:
            for name, path in files.items():
                _log_file(client, sweep.run_id, name, path)

    def logged(self, sweep: str) -> dict[str, set[str]]:
        """Per completed training of a sweep the evaluations that are kept."""
        return {
            run.train_id: set(run.evaluations)
            for run in self._reader.runs_without_scores(sweep)
            if run.status is TrialStatus.COMPLETED
        }

    def results(self, sweeps: Sequence[str] | None = None) -> TrackedResults:
        """What is kept of some sweeps, or of the latest one.

        Raises:
            TrackingError: There is no such sweep; names those there are.
        """
        found = {sweep.name: sweep for sweep in self._reader.sweeps()}
        wanted = list(found)[-1:] if sweeps is None else list(dict.fromkeys(sweeps))
        unknown = [name for name in wanted if name not in found]
        if unknown or not wanted:
            what = f"no sweep {unknown[0]!r}" if unknown else "no sweep yet"
            there = f"; there are: {', '.join(found)}" if found else ""
            raise TrackingError(
                f"{what} in {self._database}{there}; make one with 'sweeper run SPACE.yaml'"
            )
        return TrackedResults(
            sweeps=tuple(found[name] for name in wanted),
            runs=tuple(run for name in wanted for run in self._reader.runs(name)),
        )

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        from mlflow.exceptions import MlflowException

        try:
            yield self._client()
        except (MlflowException, OSError, sqlite3.Error) as err:
            line = str(err).strip().splitlines()[0]
            raise TrackingError(
                f"the MLflow store {self._database} cannot be written ({line}); check its folder's"
                " rights and free space, and that no other process holds it"
            ) from err

    def _client(self) -> Any:
        if self._opened is None:
            os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
            for noisy in ("alembic", "mlflow"):
                logging.getLogger(noisy).setLevel(logging.ERROR)
            from mlflow import MlflowClient

            # two drivers that both create the tables leave a store that nobody can open
            with (self._database.with_suffix(".lock")).open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                is_new = not self._database.exists()
                self._opened = MlflowClient(tracking_uri=f"sqlite:///{self._database}")
                self._opened.search_experiments(max_results=1)
                if is_new:
                    with closing(sqlite3.connect(self._database)) as connection:
                        connection.execute("PRAGMA journal_mode=WAL")
        return self._opened

    def _create_parent(self, client: Any, sweep: str) -> str:
        experiment = client.get_experiment_by_name(sweep)
        if experiment is None:
            location = (self._artifacts / sweep).as_uri()
            experiment_id = client.create_experiment(sweep, artifact_location=location)
        else:
            experiment_id = experiment.experiment_id
        run = client.create_run(
            experiment_id, run_name=sweep, tags={"sweep": sweep, "kind": "sweep"}
        )
        client.set_terminated(run.info.run_id, "FINISHED")
        return str(run.info.run_id)

    def _parent(self, client: Any, sweep: str) -> TrackedSweep:
        for _ in range(2):
            for found in self._reader.sweeps():
                if found.name == sweep:
                    return found
            self.prepare(sweep, {"cells": [], "report": {}, "dataset": {}, "encoder": {}})
        raise TrackingError(f"sweep {sweep!r} vanished from {self._database}; run it again")

    def _child(self, client: Any, parent: TrackedSweep, record: TrainingRecord) -> tuple[str, int]:
        """The run to write to, and the number of the attempt."""
        before = self._attempts(client, parent, record.train_id)
        if before and _is_same_attempt(before[-1], record):
            return before[-1].info.run_id, len(before)
        run = client.create_run(
            parent.experiment_id,
            run_name=record.name,
            tags={
                "mlflow.parentRunId": parent.run_id,
                "kind": "training",
                "sweep": record.sweep,
                "train_id": record.train_id,
            },
        )
        return run.info.run_id, len(before) + 1

    def _attempts(self, client: Any, parent: TrackedSweep, train_id: str) -> list[Any]:
        found: list[Any] = client.search_runs(
            [parent.experiment_id],
            f"tags.train_id = '{train_id}'",
            order_by=["attributes.start_time ASC"],
        )
        return found


def _is_same_attempt(run: Any, record: TrainingRecord) -> bool:
    """True where the record only repeats or extends what the run says."""
    known = run.data.tags.get("status")
    return known is None or known == record.status.value


def _tags(record: TrainingRecord, attempt: int) -> dict[str, str]:
    tags = {
        **record.tags,
        "train_id": record.train_id,
        "sweep": record.sweep,
        "attempt": str(attempt),
    }
    for eval_id, settings in record.evaluations.items():
        tags[f"{EVALUATION_TAG}{eval_id}"] = json.dumps(dict(settings), sort_keys=True)
    if record.failure is not None:
        tags["failure.reason"] = record.failure.reason.value
        tags["failure.message"] = record.failure.message
        tags["failure.log_path"] = record.failure.log_path
    return tags


def _log_texts(
    client: Any, run_id: str, params: Mapping[str, str], tags: Mapping[str, str]
) -> None:
    from mlflow.entities import Param, RunTag

    for start in range(0, len(params), _BATCH_KEYS):
        part = list(params.items())[start : start + _BATCH_KEYS]
        client.log_batch(run_id, params=[Param(key, value) for key, value in part])
    for start in range(0, len(tags), _BATCH_KEYS):
        part = list(tags.items())[start : start + _BATCH_KEYS]
        client.log_batch(run_id, tags=[RunTag(key, value) for key, value in part])


def _log_metrics(client: Any, run_id: str, metrics: Sequence[tuple[str, float, int, int]]) -> None:
    from mlflow.entities import Metric

    for start in range(0, len(metrics), _BATCH_METRICS):
        part = metrics[start : start + _BATCH_METRICS]
        client.log_batch(run_id, metrics=[Metric(*metric) for metric in part])


def _log_file(client: Any, run_id: str, name: str, path: Path) -> None:
    """Keep a file under a name that need not be its own."""
    folder, _, file_name = name.rpartition("/")
    with tempfile.TemporaryDirectory() as temporary:
        copy = shutil.copyfile(path, f"{temporary}/{file_name}")
        client.log_artifact(run_id, copy, folder or None)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
