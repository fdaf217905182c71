"""Access to MLflow's client: opened once, created under a lock, with one-line errors."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from sweeper.errors import TrackingError
from sweeper.locks import FileLock
from sweeper.tracking.relocate import relocate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from sweeper.tracking.run_metrics import RunMetric

_BATCH_METRICS = 1000  # MLflow's limit for one log_batch
_BATCH_KEYS = 100  # the same for parameters and for tags


class MlflowStore:
    """MLflow's SQLite store of a workspace, for writing; mlflow is imported on first use.

    Not thread-safe; two processes may write at once.
    """

    def __init__(self, database: Path, artifacts: Path) -> None:
        self._database, self._artifacts = database, artifacts
        self._opened: Any = None

    @contextmanager
    def writing(self) -> Iterator[Any]:
        """MLflow's client, for use in a `with` block that turns its errors into ours.

        Raises:
            TrackingError: The store cannot be written.
        """
        from mlflow.exceptions import MlflowException

        try:
            yield self._client()
        except (MlflowException, OSError, sqlite3.Error) as err:
            line = str(err).strip().splitlines()[0]
            raise TrackingError(
                f"the MLflow store {self._database} cannot be written ({line}); check the folder's"
                " permissions and free disk space, and that no other process has locked the store"
            ) from err

    def _client(self) -> Any:
        if self._opened is None:
            for noisy in ("alembic", "mlflow"):
                logging.getLogger(noisy).setLevel(logging.ERROR)
            from mlflow import MlflowClient

            # two drivers that both create the tables leave a store that cannot be opened
            with FileLock(self._database.with_suffix(".lock")):
                if self._database.exists():
                    relocate(self._database, self._artifacts)
                else:
                    self._create()
                opened = MlflowClient(tracking_uri=f"sqlite:///{self._database}")
                opened.search_experiments(max_results=1)
                self._opened = opened
        return self._opened

    def _create(self) -> None:
        """Create all tables in a temporary file, so that a kill leaves no incomplete store."""
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        for leftover in self._database.parent.glob(f".{self._database.name}.new*"):
            leftover.unlink()
        partial = self._database.with_name(f".{self._database.name}.new")
        store = SqlAlchemyStore(f"sqlite:///{partial}", self._artifacts.as_uri())
        store.engine.dispose()
        with closing(sqlite3.connect(partial)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        partial.replace(self._database)


def log_texts(client: Any, run_id: str, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
    """Log parameters and tags in batches within MLflow's limit."""
    from mlflow.entities import Param, RunTag

    for start in range(0, len(params), _BATCH_KEYS):
        part = list(params.items())[start : start + _BATCH_KEYS]
        client.log_batch(run_id, params=[Param(key, value) for key, value in part])
    for start in range(0, len(tags), _BATCH_KEYS):
        part = list(tags.items())[start : start + _BATCH_KEYS]
        client.log_batch(run_id, tags=[RunTag(key, value) for key, value in part])


def log_metrics(client: Any, run_id: str, metrics: Sequence[RunMetric]) -> None:
    """Log metrics in batches within MLflow's limit."""
    from mlflow.entities import Metric

    for start in range(0, len(metrics), _BATCH_METRICS):
        part = metrics[start : start + _BATCH_METRICS]
        client.log_batch(run_id, metrics=[Metric(*metric) for metric in part])


def log_file(client: Any, run_id: str, name: str, path: Path) -> None:
    """Log a file under a name that may differ from the file's own."""
    folder, _, file_name = name.rpartition("/")
    with tempfile.TemporaryDirectory() as temporary:
        copy = shutil.copyfile(path, f"{temporary}/{file_name}")
        client.log_artifact(run_id, copy, folder or None)
