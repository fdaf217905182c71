"""MLflow's server runs on the workspace's store, whose addresses are corrected first."""

from __future__ import annotations

import json
import shutil
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

from sweeper.tracking.mlflow_server import HOST, start_server, sweep_url
from sweeper.tracking.mlflow_tracker import MlflowTracker
from sweeper.tracking.tracker import TrackedSweep

# mlflow's own dependencies warn while they are imported
pytestmark = pytest.mark.filterwarnings("ignore")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def fetch(url: str, deadline: float) -> bytes:
    """The page, once the server answers."""
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as page:
                return bytes(page.read())
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def test_the_address_of_a_sweep_names_experiment_and_run() -> None:
    sweep = TrackedSweep(name="s", run_id="r9", experiment_id="7", plan={}, artifacts=Path("/x"))
    address = f"http://{HOST}:5001/#/experiments/7/runs/r9?workflowType=machine_learning"
    assert sweep_url(sweep, 5001) == address


@pytest.mark.slow
def test_the_server_shows_a_moved_workspace_with_its_current_addresses(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    first = SimpleNamespace(mlflow_db=old / "mlflow.db", mlflow_artifacts=old / "mlflow-artifacts")
    MlflowTracker(first).prepare("ablation@d", {"cells": []})
    shutil.copytree(old, new)
    moved = SimpleNamespace(mlflow_db=new / "mlflow.db", mlflow_artifacts=new / "mlflow-artifacts")
    port, log = free_port(), tmp_path / "server.log"
    server = start_server(moved, port, log)
    try:
        url = f"http://{HOST}:{port}/api/2.0/mlflow/experiments/get-by-name?experiment_name="
        answer = json.loads(fetch(f"{url}ablation", time.monotonic() + 90))
    finally:
        server.terminate()
        server.wait(timeout=30)
    location = answer["experiment"]["artifact_location"]
    assert location == (new / "mlflow-artifacts" / "ablation").as_uri()
    assert log.read_bytes()
