"""Runs MLflow's own web server on a workspace."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from sweeper.tracking.relocate import relocate

if TYPE_CHECKING:
    from pathlib import Path

    from sweeper.tracking.tracker import TrackedSweep, TrackingPlaces

HOST = "127.0.0.1"


def start_server(workspace: TrackingPlaces, port: int, log: Path) -> subprocess.Popen[bytes]:
    """MLflow's server as a child process: one worker, no job runner, no telemetry.

    Args:
        workspace: Whose store it shows; addresses of a moved workspace are put right first.
        port: At 127.0.0.1.
        log: Gets what the server says.
    """
    relocate(workspace.mlflow_db, workspace.mlflow_artifacts)
    environment = {
        **os.environ,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # its job runner needs 2 GB and 13 more processes, and nothing here uses it
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    command = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", f"sqlite:///{workspace.mlflow_db}"),
        *("--default-artifact-root", workspace.mlflow_artifacts.as_uri()),
        *("--host", HOST, "--port", str(port), "--workers", "1"),
    ]
    with log.open("wb") as out:
        return subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)


def sweep_url(sweep: TrackedSweep, port: int) -> str:
    """Where a sweep's parent run is shown."""
    return f"http://{HOST}:{port}/#/experiments/{sweep.experiment_id}/runs/{sweep.run_id}"
