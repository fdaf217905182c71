"""Writes model folders as MLflow models and registers them; nothing is pickled.

MLflow would pickle a Python object. So it gets a file of code instead ("models from code"), which
opens the model folder among the model's artifacts.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sweeper.errors import TrackingError
from sweeper.tracking.mlflow_store import MlflowStore

if TYPE_CHECKING:
    from sweeper.tracking.tracker import TrackingPlaces

_CODE = '''"""Serves a model folder of sweeper; input (z, y, x) float32, output (z, y, x) uint8."""

import os
from pathlib import Path

import mlflow
import numpy as np

from sweeper.predict.array_model import ArrayModel
from sweeper.store.workspace import Workspace


class ServedModel(mlflow.pyfunc.PythonModel):
    """The weights of SAM's encoders are read from SWEEPER_WORKSPACE/weights."""

    def load_context(self, context):
        root = Path(os.environ.get("SWEEPER_WORKSPACE", "workspace")).absolute()
        self.model = ArrayModel.open(Path(context.artifacts["model"]), Workspace(root))

    def predict(self, context, model_input, params=None):
        spacing_mm = tuple((params or {}).get("spacing_mm", (1.0, 1.0, 1.0)))
        return self.model.predict(np.asarray(model_input), spacing_mm)


mlflow.models.set_model(ServedModel())
'''

_EXAMPLE_SHAPE = (2, 32, 32)


def write_mlflow_model(model: Path, target: Path, requirements: list[str]) -> None:
    """Write a model folder as an MLflow pyfunc model with signature and example.

    Args:
        model: The model folder; copied to `target/artifacts`.
        target: Folder that does not exist.
        requirements: Of pip, for the environments that MLflow makes.

    Raises:
        TrackingError: MLflow cannot write it.
    """
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    os.environ["MLFLOW_UV_AUTO_DETECT"] = "false"  # it would copy the current folder's uv.lock
    import mlflow
    from mlflow.exceptions import MlflowException
    from mlflow.models import ModelSignature
    from mlflow.types import DataType, ParamSchema, ParamSpec, Schema, TensorSpec

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    volume = (-1, -1, -1)
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float32), volume)]),
        outputs=Schema([TensorSpec(np.dtype(np.uint8), volume)]),
        params=ParamSchema([ParamSpec("spacing_mm", DataType.double, [1.0, 1.0, 1.0], (-1,))]),
    )
    example = np.linspace(0, 100, int(np.prod(_EXAMPLE_SHAPE)), dtype=np.float32)
    with tempfile.TemporaryDirectory() as temporary:
        code = Path(temporary) / "served_model.py"
        code.write_text(_CODE, encoding="utf-8")
        try:
            # it advises type hints, but the signature is given
            with warnings.catch_warnings(record=True):
                warnings.simplefilter("always")
                mlflow.pyfunc.save_model(
                    path=str(target),
                    python_model=str(code),
                    artifacts={"model": str(model)},
                    signature=signature,
                    input_example=example.reshape(_EXAMPLE_SHAPE),
                    pip_requirements=requirements,
                )
        except (MlflowException, OSError) as err:
            line = str(err).strip().splitlines()[0]
            raise TrackingError(f"MLflow cannot write the model to {target} ({line})") from err


def register_model(
    workspace: TrackingPlaces, model: Path, name: str, run_id: str, tags: dict[str, str]
) -> int:
    """Put an MLflow model into the registry of the workspace; returns its version.

    Args:
        workspace: The workspace.
        model: Written by `write_mlflow_model`; copied to the artifacts of the run.
        name: Name of the registered model; created if it is new.
        run_id: Run of the training.
        tags: Of the version.

    Raises:
        TrackingError: The store cannot be written, or the name is not allowed.
    """
    store = MlflowStore(workspace.mlflow_db, workspace.mlflow_artifacts)
    with store.writing() as client:
        client.log_artifacts(run_id, str(model), "model")
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name)
        source = f"{client.get_run(run_id).info.artifact_uri}/model"
        version = client.create_model_version(name, source, run_id, tags=tags)
    return int(version.version)


def run_of_training(workspace: TrackingPlaces, train_id: str) -> str | None:
    """The latest run of a training in any sweep; None if it was not logged."""
    store = MlflowStore(workspace.mlflow_db, workspace.mlflow_artifacts)
    with store.writing() as client:
        experiments = [e.experiment_id for e in client.search_experiments()]
        runs = client.search_runs(
            experiments,
            f"tags.train_id = '{train_id}' and tags.kind = 'training'",
            order_by=["attributes.start_time DESC"],
            max_results=1,
        )
    return str(runs[0].info.run_id) if runs else None
