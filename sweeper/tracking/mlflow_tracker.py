"""Keeps sweeps in MLflow: the only writer.

One experiment a search space, one parent run for each dataset and encoder it was run on, one child
run a training. Everything goes through an explicit client and run id; workers write nothing.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from sweeper.errors import TrackingError
from sweeper.records import TrialStatus
from sweeper.tracking.mlflow_reader import PLAN_FILE, MlflowReader
from sweeper.tracking.mlflow_store import MlflowStore, log_file, log_metrics, log_texts
from sweeper.tracking.relocate import artifact_folder
from sweeper.tracking.rows_file import ROWS_FILE, decode, encode, scores_of
from sweeper.tracking.run_metrics import CURVE, epoch_metrics, final_metrics, record_tags
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
"""MLflow's pages then open with runs and charts rather than with language models."""


class MlflowTracker:
    """A `Tracker` on the SQLite store of a workspace; see `Tracker` for what each method does.

    Reading never imports mlflow. Not safe for two threads; two processes may write at once.
    """

    def __init__(self, workspace: TrackingPlaces) -> None:
        self._database = workspace.mlflow_db
        self._artifacts = workspace.mlflow_artifacts
        self._reader = MlflowReader(workspace.mlflow_db, workspace.mlflow_artifacts)
        self._store = MlflowStore(workspace.mlflow_db, workspace.mlflow_artifacts)
        self._open: dict[tuple[str, str], tuple[str, int]] = {}
        """Run and attempt by (sweep, train_id) of what this process has begun and not ended."""
        self._steps: dict[str, set[int]] = {}
        """Epochs that a run's curves already hold."""
        self._parents: dict[str, TrackedSweep] = {}

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
        with self._store.writing() as client:
            run_id = known.run_id if known is not None else self._create_parent(client, sweep)
            client.log_dict(run_id, plain, PLAN_FILE)
            client.set_tag(run_id, "prepared_at", repr(time.time()))
            client.set_tag(run_id, "mlflow.note.content", str(plain.get("description", "")))
            for group in ("dataset", "encoder"):
                for key, value in plain.get(group, {}).items():
                    client.set_tag(run_id, f"{group}.{key}", _text(value))

    def begin_training(self, start: TrainingStart) -> None:
        """Open the run of a training that begins, so that its curves can be watched.

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
        """Add epochs to the curves of a training that was begun; one batch.

        Raises:
            TrackingError: The store cannot be written.
        """
        if (sweep, train_id) in self._open:
            run_id, _ = self._open[sweep, train_id]
            with self._store.writing() as client:
                self._log_epochs(client, run_id, epochs)

    def log_training(self, record: TrainingRecord) -> str:
        """Keep a training that has ended; the run's id.

        A training that failed and was tried again gets a new run; one that gained evaluations
        keeps its run.

        Raises:
            TrackingError: The store cannot be written.
        """
        with self._store.writing() as client:
            key = (record.sweep, record.train_id)
            run_id, attempt = self._open.get(key) or self._child(
                client, *key, record.name, record.status
            )
            log_texts(client, run_id, record.params, record_tags(record, attempt))
            scores = scores_of(record.rows)
            self._log_epochs(
                client, run_id, dict(enumerate(record.epochs)), last=len(record.epochs) - 1
            )
            now_ms = int(time.time() * 1000)
            log_metrics(client, run_id, final_metrics(record, scores, now_ms))
            kept = self._kept(client, run_id, record.evaluations)
            client.log_text(run_id, encode((*kept, *scores)), ROWS_FILE)
            for name, path in (record.artifacts or {}).items():
                log_file(client, run_id, name, path)
            client.set_terminated(run_id, _MLFLOW_STATUS[record.status])
            # last, so that a run without it is known as half written
            client.set_tag(run_id, "status", record.status.value)
            self._open.pop(key, None)
            return run_id

    def close_interrupted(self, sweep: str, running: Collection[str]) -> None:
        """End the runs of trainings that nobody is at work on; going on opens them again.

        A driver that was killed leaves them as running for ever.

        Args:
            sweep: The sweep.
            running: Trainings that are at work now.

        Raises:
            TrackingError: The store cannot be written.
        """
        left = [run for train_id, run in self._reader.unfinished(sweep) if train_id not in running]
        if left:
            with self._store.writing() as client:
                for run_id in left:
                    client.set_terminated(run_id, "KILLED")

    def attach(self, sweep: TrackedSweep, files: Mapping[str, Path], note: str = "") -> None:
        """Keep files (tables, figures, the page) with a sweep's parent run, by name.

        Args:
            sweep: The sweep.
            files: By their name in the run.
            note: Markdown that the run's page shows below the sweep's description.
        """
        with self._store.writing() as client:
            for name, path in files.items():
                log_file(client, sweep.run_id, name, path)
            if note:
                said = str(sweep.plan.get("description", ""))
                client.set_tag(sweep.run_id, "mlflow.note.content", f"{said}\n\n{note}")

    def logged(self, sweep: str) -> dict[str, set[str]]:
        """Per completed training of a sweep the evaluations whose numbers are kept."""
        return {
            run.train_id: {score.eval_id for score in run.scores} & set(run.evaluations)
            for run in self._reader.runs(sweep)
            if run.status is TrialStatus.COMPLETED
        }

    def sweeps(self) -> tuple[TrackedSweep, ...]:
        """Every sweep, the one that was run last at the end."""
        return self._reader.sweeps()

    def results(self, sweeps: Sequence[str] | None = None) -> TrackedResults:
        """What is kept of some sweeps, or of the latest one.

        Args:
            sweeps: Names; that of a search space means the newest of its sweeps.

        Raises:
            TrackingError: There is no such sweep; names those there are.
        """
        found = {sweep.name: sweep for sweep in self._reader.sweeps()}
        newest = {space_of(name): name for name in found}
        wanted = list(found)[-1:] if sweeps is None else list(dict.fromkeys(sweeps))
        named = [name if "@" in name else newest.get(name, name) for name in wanted]
        unknown = [name for name in named if name not in found]
        if unknown or not named:
            what = f"no sweep {unknown[0]!r}" if unknown else "no sweep yet"
            there = f"; there are: {', '.join(found)}" if found else ""
            raise TrackingError(
                f"{what} in {self._database}{there}; make one with 'sweeper run SPACE.yaml'"
            )
        return TrackedResults(
            sweeps=tuple(found[name] for name in named),
            runs=tuple(run for name in named for run in self._reader.runs(name)),
            others=tuple(
                name
                for name in found
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
            self._parents.update({found.name: found for found in self._reader.sweeps()})
            if sweep not in self._parents:
                self.prepare(sweep, {"cells": [], "report": {}, "dataset": {}, "encoder": {}})
                self._parents.update({found.name: found for found in self._reader.sweeps()})
        raise TrackingError(f"sweep {sweep!r} vanished from {self._database}; run it again")

    def _child(
        self, client: Any, sweep: str, train_id: str, name: str, status: TrialStatus | None
    ) -> tuple[str, int]:
        """The run to write to, and the number of the attempt.

        Args:
            client: MLflow's.
            sweep: The sweep.
            train_id: The training.
            name: For people.
            status: How the training ended; None where it begins.
        """
        parent = self._parent(sweep)
        before: list[Any] = client.search_runs(
            [parent.experiment_id],
            f"tags.train_id = '{train_id}' and tags.sweep = '{sweep}'",
            order_by=["attributes.start_time ASC"],
        )
        if before and before[-1].data.tags.get("status") in (None, status and status.value):
            run_id = str(before[-1].info.run_id)
            if run_id not in self._steps:
                history = client.get_metric_history(run_id, CURVE)
                self._steps[run_id] = {metric.step for metric in history}
            return run_id, len(before)
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
        return run.info.run_id, len(before) + 1

    def _log_epochs(
        self,
        client: Any,
        run_id: str,
        epochs: Mapping[int, Mapping[str, float]],
        last: int | None = None,
    ) -> None:
        """What the curves do not hold yet: a repeated epoch would be a second point."""
        known = self._steps[run_id]
        metrics = epoch_metrics(epochs, int(time.time() * 1000), last)
        log_metrics(client, run_id, [metric for metric in metrics if metric[3] not in known])
        known.update(step for _, _, _, step in metrics)

    def _kept(self, client: Any, run_id: str, replaced: Collection[str]) -> list[Any]:
        """Scores of the run's other evaluations; a damaged file is written anew."""
        uri = client.get_run(run_id).info.artifact_uri
        scores = decode(artifact_folder(uri, self._artifacts) / ROWS_FILE)
        return [score for score in scores if score.eval_id not in replaced]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
