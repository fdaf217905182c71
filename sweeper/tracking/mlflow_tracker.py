"""Stores sweeps in MLflow; the only writer.

A search space has one experiment, with one parent run per dataset and encoder, and one child run
per training. Every call uses an explicit client and run id; workers write nothing.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from sweeper.errors import TrackingError
from sweeper.records import TrialStatus
from sweeper.sealed import seal
from sweeper.tracking.mlflow_reader import PLAN_FILE, MlflowReader
from sweeper.tracking.mlflow_store import MlflowStore, log_file, log_metrics, log_texts
from sweeper.tracking.relocate import artifact_folder
from sweeper.tracking.rows_file import ROWS_FILE, decode, encode, scores_of
from sweeper.tracking.run_checksum import CHECKSUM_TAG, ROWS_TAG, rows_checksum, run_checksum
from sweeper.tracking.run_metrics import CURVE, epoch_metrics, final_metrics, legal_key, record_tags
from sweeper.tracking.tracker import TrackedResults, space_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from sweeper.records import TrainingRecord
    from sweeper.tracking.tracker import TrackedSweep, TrackingPlaces, TrainingStart

_MLFLOW_STATUS = {
    TrialStatus.COMPLETED: "FINISHED",
    TrialStatus.PRUNED: "KILLED",
    TrialStatus.FAILED: "FAILED",
}
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""With this tag MLflow's pages open with runs and charts, not with language models."""


class MlflowTracker:
    """A `Tracker` that uses the MLflow store of a workspace; `Tracker` describes the methods.

    Reading never imports mlflow. Not thread-safe; two processes may write at once.
    """

    def __init__(self, workspace: TrackingPlaces) -> None:
        self._database = workspace.mlflow_db
        self._artifacts = workspace.mlflow_artifacts
        self._reader = MlflowReader(workspace.mlflow_db, workspace.mlflow_artifacts)
        self._store = MlflowStore(workspace.mlflow_db, workspace.mlflow_artifacts)
        self._open: dict[tuple[str, str], tuple[str, int]] = {}
        """(sweep, train_id) -> (run_id, attempt) of the runs that this process has open."""
        self._steps: dict[str, set[int]] = {}
        """run_id -> epochs that its curves already have."""
        self._parents: dict[str, TrackedSweep] = {}

    def prepare(self, sweep: str, plan: Mapping[str, Any]) -> None:
        """Store a sweep's plan, and make the sweep the latest one.

        If both are already so, nothing is written and mlflow is not imported.

        Raises:
            TrackingError: The store cannot be written.
        """
        sweeps = self._reader.sweeps()
        known = next((tracked for tracked in sweeps if tracked.name == sweep), None)
        plain = json.loads(json.dumps(plan))
        if known is not None and known.plan == plain and sweeps[-1].name == sweep:
            return
        with self._store.writing() as client:
            run_id = known.run_id if known is not None else self._create_parent(client, sweep)
            client.log_text(run_id, seal(plain), PLAN_FILE)
            client.set_tag(run_id, "prepared_at", repr(time.time()))
            client.set_tag(run_id, "mlflow.note.content", str(plain.get("description", "")))
            for group in ("dataset", "encoder"):
                for key, value in plain.get(group, {}).items():
                    client.set_tag(run_id, f"{group}.{key}", _text(value))

    def begin_training(self, start: TrainingStart) -> None:
        """Open the run of a training that starts, so that its curves can be watched.

        Raises:
            TrackingError: The store cannot be written.
        """
        with self._store.writing() as client:
            run_id, attempt = self._child(client, start.sweep, start.train_id, start.name, None)
            log_texts(client, run_id, start.params, {**start.tags, "attempt": str(attempt)})
            client.update_run(run_id, status="RUNNING")
            self._open[start.sweep, start.train_id] = run_id, attempt

    def log_epochs(
        self, sweep: str, train_id: str, epochs: Mapping[int, Mapping[str, float]]
    ) -> None:
        """Add epochs to the curves of a running training, in one batch.

        Raises:
            TrackingError: The store cannot be written.
        """
        if (sweep, train_id) in self._open:
            run_id, _ = self._open[sweep, train_id]
            with self._store.writing() as client:
                self._log_epochs(client, run_id, epochs)

    def log_training(self, record: TrainingRecord) -> str:
        """Store a training that has ended; returns the run's id.

        A failed training that was retried gets a new run; one with new evaluations keeps its run.

        Raises:
            TrackingError: The store cannot be written.
        """
        with self._store.writing() as client:
            key = (record.sweep, record.train_id)
            run_id, attempt = self._open.get(key) or self._child(
                client, *key, record.name, record.status
            )
            client.set_tag(run_id, CHECKSUM_TAG, "")  # what follows changes the run
            log_texts(client, run_id, record.params, record_tags(record, attempt))
            scores = scores_of(record.rows)
            self._log_epochs(
                client, run_id, dict(enumerate(record.epochs)), last=len(record.epochs) - 1
            )
            now_ms = int(time.time() * 1000)
            log_metrics(client, run_id, final_metrics(record, scores, now_ms))
            other_scores = self._scores_of_others(client, run_id, record.evaluations)
            rows = encode((*other_scores, *scores))
            client.log_text(run_id, rows, ROWS_FILE)
            client.set_tag(run_id, ROWS_TAG, rows_checksum(rows.encode()))
            for name, path in (record.artifacts or {}).items():
                log_file(client, run_id, name, path)
            client.set_terminated(run_id, _MLFLOW_STATUS[record.status])
            # written last, so that a run without this tag is known to be incomplete
            client.set_tag(run_id, "status", record.status.value)
            client.set_tag(run_id, CHECKSUM_TAG, run_checksum(*self._reader.content(run_id)))
            self._open.pop(key, None)
            return run_id

    def close_interrupted(self, sweep: str, running: Collection[str]) -> None:
        """End the open runs of trainings that no process is running; a resume reopens them.

        A killed driver leaves its runs in MLflow's status RUNNING.

        Args:
            sweep: The sweep.
            running: Trainings that are running now, by train_id.

        Raises:
            TrackingError: The store cannot be written.
        """
        interrupted = [
            run_id for train_id, run_id in self._reader.unfinished(sweep) if train_id not in running
        ]
        if interrupted:
            with self._store.writing() as client:
                for run_id in interrupted:
                    client.set_terminated(run_id, "KILLED")

    def attach(
        self,
        sweep: TrackedSweep,
        files: Mapping[str, Path],
        note: str = "",
        overall: Mapping[str, float] | None = None,
    ) -> None:
        """Store files (tables, figures, the page) and overall values with a sweep's parent run.

        The parent run lasts until the end of its last training.

        Args:
            sweep: The sweep.
            files: Name in the run -> file.
            note: Markdown for the run's page, shown below the sweep's description.
            overall: Name -> value of the table's last column, such as `overall dice/strict/unet`.
        """
        ended = self._reader.last_end_ms(sweep.name)
        with self._store.writing() as client:
            client.set_terminated(sweep.run_id, "FINISHED", ended)
            for key, value in (overall or {}).items():
                client.log_metric(sweep.run_id, legal_key(key), value)
            for name, path in files.items():
                log_file(client, sweep.run_id, name, path)
            if note:
                description = str(sweep.plan.get("description", ""))
                client.set_tag(sweep.run_id, "mlflow.note.content", f"{description}\n\n{note}")

    def logged(self, sweep: str) -> dict[str, set[str]]:
        """train_id -> eval_ids with stored scores, for each completed training of a sweep."""
        return {
            run.train_id: {score.eval_id for score in run.scores} & set(run.evaluations)
            for run in self._reader.runs(sweep)
            if run.status is TrialStatus.COMPLETED
        }

    def sweeps(self) -> tuple[TrackedSweep, ...]:
        """All sweeps; the most recently run one is last."""
        return self._reader.sweeps()

    def results(self, sweeps: Sequence[str] | None = None) -> TrackedResults:
        """Stored results of the named sweeps, or of the latest one.

        Args:
            sweeps: Names of sweeps; the name of a search space means its latest sweep.

        Raises:
            TrackingError: There is no such sweep; the message lists the existing ones.
        """
        known = {sweep.name: sweep for sweep in self._reader.sweeps()}
        latest = {space_of(name): name for name in known}
        wanted = list(known)[-1:] if sweeps is None else list(dict.fromkeys(sweeps))
        named = [name if "@" in name else latest.get(name, name) for name in wanted]
        unknown = [name for name in named if name not in known]
        if unknown or not named:
            problem = f"no sweep {unknown[0]!r}" if unknown else "no sweep yet"
            existing = f"; the sweeps are {', '.join(known)}" if known else ""
            raise TrackingError(
                f"{problem} in {self._database}{existing}; start one with 'sweeper run SPACE.yaml'"
            )
        return TrackedResults(
            sweeps=tuple(known[name] for name in named),
            runs=tuple(run for name in named for run in self._reader.runs(name)),
            others=tuple(
                name
                for name in known
                if name not in named and space_of(name) in map(space_of, named)
            ),
        )

    def _create_parent(self, client: Any, sweep: str) -> str:
        space = space_of(sweep)
        experiment = client.get_experiment_by_name(space)
        if experiment is None:
            location = (self._artifacts / space).as_uri()
            experiment_id = client.create_experiment(
                space, artifact_location=location, tags=_EXPERIMENT_TAGS
            )
        else:
            experiment_id = experiment.experiment_id
        run = client.create_run(
            experiment_id, run_name=sweep, tags={"sweep": sweep, "kind": "sweep"}
        )
        client.set_terminated(run.info.run_id, "FINISHED")
        return str(run.info.run_id)

    def _parent(self, sweep: str) -> TrackedSweep:
        for _ in range(2):
            if sweep in self._parents:
                return self._parents[sweep]
            self._parents.update({known.name: known for known in self._reader.sweeps()})
            if sweep not in self._parents:
                self.prepare(sweep, {"cells": [], "report": {}, "dataset": {}, "encoder": {}})
                self._parents.update({known.name: known for known in self._reader.sweeps()})
        raise TrackingError(f"sweep {sweep!r} was removed from {self._database}; run it again")

    def _child(
        self, client: Any, sweep: str, train_id: str, name: str, status: TrialStatus | None
    ) -> tuple[str, int]:
        """The run_id to write to, and the number of the attempt.

        Args:
            client: MLflow's client.
            sweep: The sweep.
            train_id: The training.
            name: Human name of the run.
            status: How the training ended; None if it starts.
        """
        parent = self._parent(sweep)
        earlier: list[Any] = client.search_runs(
            [parent.experiment_id],
            f"tags.train_id = '{train_id}' and tags.sweep = '{sweep}'",
            order_by=["attributes.start_time ASC"],
        )
        if earlier and earlier[-1].data.tags.get("status") in (None, status and status.value):
            run_id = str(earlier[-1].info.run_id)
            if run_id not in self._steps:
                history = client.get_metric_history(run_id, CURVE)
                self._steps[run_id] = {metric.step for metric in history}
            return run_id, len(earlier)
        run = client.create_run(
            parent.experiment_id,
            run_name=name,
            tags={
                "mlflow.parentRunId": parent.run_id,
                "kind": "training",
                "sweep": sweep,
                "train_id": train_id,
            },
        )
        self._steps[run.info.run_id] = set()
        return run.info.run_id, len(earlier) + 1

    def _log_epochs(
        self,
        client: Any,
        run_id: str,
        epochs: Mapping[int, Mapping[str, float]],
        last: int | None = None,
    ) -> None:
        """Log the epochs that the curves do not have yet; a repeat would add a second point."""
        known = self._steps[run_id]
        metrics = epoch_metrics(epochs, int(time.time() * 1000), last)
        log_metrics(client, run_id, [metric for metric in metrics if metric[3] not in known])
        known.update(step for _, _, _, step in metrics)

    def _scores_of_others(self, client: Any, run_id: str, replaced: Collection[str]) -> list[Any]:
        """Stored scores of the run's evaluations that are not in `replaced`."""
        run = client.get_run(run_id)
        rows = artifact_folder(run.info.artifact_uri, self._artifacts) / ROWS_FILE
        scores = decode(rows, run.data.tags.get(ROWS_TAG, ""))
        return [score for score in scores if score.eval_id not in replaced]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
