"""A model in MLflow: loaded, served on loopback and registered, with the masks of `predict`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
import tiny_workspace as tiny
import torch

from sweeper.errors import DataError
from sweeper.pipeline.predicting.export import export_mlflow, register
from sweeper.pipeline.predicting.predict import open_predictor
from sweeper.predict.array_model import ArrayModel
from sweeper.records import TrainingRecord, TrialStatus
from sweeper.tracking.mlflow_tracker import MlflowTracker

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow and its libraries

CELLS = ["method=unet"]
IMAGE, _ = tiny.scan(4)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    before = torch.get_num_threads()
    trial = {"method": tiny.UNET, "training": {"epochs": 3, "batch_size": 4, "lr": 1e-4}}
    yield tiny.make_workspace(tmp_path_factory.mktemp("served"), [trial])
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model(workspace):
    return export_mlflow(workspace, CELLS, workspace.root.parent / "mlflow-model").folder


@pytest.fixture(scope="module")
def mask(workspace):
    mask = ArrayModel(open_predictor(workspace, CELLS)).predict(IMAGE)
    assert mask.shape == IMAGE.shape
    assert 0 < mask.mean() < 1
    return mask


def test_nothing_in_it_is_pickled(model):
    files = {file.suffix for file in model.rglob("*") if file.is_file()}
    assert files <= {"", ".json", ".yaml", ".txt", ".md", ".py", ".safetensors"}
    assert not list(model.rglob("*.pkl"))


def test_a_loaded_pyfunc_gives_the_same_mask(model, mask):
    import mlflow

    loaded = mlflow.pyfunc.load_model(str(model))
    assert np.array_equal(loaded.predict(IMAGE.astype(np.float32)), mask)
    assert loaded.metadata.signature.outputs.inputs[0].type == np.dtype(np.uint8)


def test_a_registered_model_names_its_training(workspace):
    with pytest.raises(DataError, match="is not in MLflow"):
        register(workspace, CELLS, "prostate")
    facts = open_predictor(workspace, CELLS).facts
    tracker = MlflowTracker(workspace)
    tracker.prepare("tiny", {"cells": []})
    tracker.log_training(
        TrainingRecord(
            train_id=facts.train_id, sweep="tiny", name=facts.name, params={}, tags={}, epochs=(),
            status=TrialStatus.COMPLETED, summary={}, evaluations={}, rows=(),
        )
    )  # fmt: skip
    assert [register(workspace, CELLS, "prostate")[1] for _ in range(2)] == [1, 2]
    from mlflow import MlflowClient

    version = MlflowClient(f"sqlite:///{workspace.mlflow_db}").get_model_version("prostate", "2")
    assert version.tags["train_id"] == facts.train_id
    with pytest.raises(DataError, match="--name is 'a/b'"):
        register(workspace, CELLS, "a/b")


@pytest.mark.slow
def test_a_served_model_answers_with_the_mask(model, mask, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = (sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model))
    address = ("--host", "127.0.0.1", "--port", str(port), "--env-manager", "local")
    with (tmp_path / "log.txt").open("wb") as log:
        server = subprocess.Popen(
            [*command, *address, "--workers", "1"], stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        )  # fmt: skip
    try:
        answer = ask(f"http://127.0.0.1:{port}/invocations", {"inputs": IMAGE.tolist()})
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)
    assert np.array_equal(np.array(answer["predictions"]), mask), (tmp_path / "log.txt").read_text()


def ask(url, values):
    """The server's answer, as soon as it listens."""
    request = urllib.request.Request(
        url, json.dumps(values).encode(), {"Content-Type": "application/json"}
    )
    deadline = time.monotonic() + 150
    while True:
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as err:
            raise AssertionError(err.read().decode()) from err
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
