"""The workspace: the one folder that everything is written to, and the paths in it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeper.errors import WorkspaceError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Workspace:
    """Absolute paths of everything that sweeper writes.

    Attributes:
        root: The folder itself, absolute.
    """

    root: Path

    @classmethod
    def open(cls, root: Path) -> Workspace:
        """The workspace at `root`, created if it does not exist.

        Raises:
            WorkspaceError: The folder cannot be created or written to.
        """
        root = root.absolute()
        try:
            root.mkdir(parents=True, exist_ok=True)
            probe = root / f".write-probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as err:
            raise WorkspaceError(
                f"workspace {root} cannot be written to ({err.strerror}); make it writable, or name"
                " another with --workspace DIR or SWEEPER_WORKSPACE"
            ) from err
        return cls(root)

    @classmethod
    def for_reading(cls, root: Path) -> Workspace:
        """The workspace at `root`, which may be read-only; nothing is created or written."""
        return cls(root.absolute())

    @property
    def datasets(self) -> Path:
        """Imported datasets, one `NAME.zarr` each."""
        return self.root / "datasets"

    @property
    def embeddings(self) -> Path:
        """Embedding stores, one `DATASET-ENCODER-PRECISION-ID.zarr` each."""
        return self.root / "embeddings"

    @property
    def weights(self) -> Path:
        """SAM's checkpoints."""
        return self.root / "weights"

    @property
    def trainings(self) -> Path:
        """The ledger: one folder per training, named by its train_id."""
        return self.root / "trainings"

    @property
    def sweeps(self) -> Path:
        """One folder per sweep: its resolved search space and its plan."""
        return self.root / "sweeps"

    @property
    def logs(self) -> Path:
        """Log files of Ray and of the driver."""
        return self.root / "logs"

    @property
    def reports(self) -> Path:
        """Tables, figures and pages."""
        return self.root / "reports"

    @property
    def mlflow_db(self) -> Path:
        """MLflow's SQLite file."""
        return self.root / "mlflow.db"

    @property
    def mlflow_artifacts(self) -> Path:
        """MLflow's artifact folder."""
        return self.root / "mlflow-artifacts"

    def free_bytes(self) -> int:
        """Bytes free on the workspace's disk."""
        return shutil.disk_usage(self.root).free
