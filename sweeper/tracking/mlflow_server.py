"""Starts MLflow's web server for a workspace."""

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
    """Start MLflow's server as a child process: one worker, no job runner, no telemetry.

    Args:
        workspace: The workspace to show; if it was moved, its stored addresses are corrected first.
        port: Port on 127.0.0.1.
        log: File for the server's output.
    """
    relocate(workspace.mlflow_db, workspace.mlflow_artifacts)
    environment = {
        **os.environ,
        # the job runner needs 2 GB and 13 more processes, and nothing here uses it
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
    """Address of the page that shows a sweep's parent run, in the view for trainings.

    MLflow 3 opens its view for language models unless the address says otherwise.
    """
    page = f"experiments/{sweep.experiment_id}/runs/{sweep.run_id}"
    return f"http://{HOST}:{port}/#/{page}?workflowType=machine_learning"
