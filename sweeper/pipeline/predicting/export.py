"""`sweeper export`: one self-contained folder per trained model."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desam_model.training.state import load_weights
from sweeper.errors import DataError
from sweeper.predict.cells import MODEL_FILE, find_models
from sweeper.predict.model_card import model_card, site_means
from sweeper.predict.model_folder import WEIGHTS_FILE, write_model_folder
from sweeper.predict.trained import facts_of, with_evaluation
from sweeper.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeper.predict.facts import ModelFacts
    from sweeper.store.ledger import TrainingFolder
    from sweeper.store.workspace import Workspace

CARD, LICENCE, SCORES = "README.md", "LICENSE", "scores.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """An exported model.

    Attributes:
        folder: Its folder.
        facts: Everything but the weights.
        n_bytes: Size of the folder.
    """

    folder: Path
    facts: ModelFacts
    n_bytes: int


def export(workspace: Workspace, cells: Sequence[str], output: Path) -> Exported:
    """Write the model that the words name as a folder without pickles and without patient data.

    Args:
        workspace: With the training, its dataset and its embeddings.
        cells: The words; see `sweeper.predict.cells`.
        output: The folder, which must not exist, or be empty, or hold an exported model.

    Raises:
        SweeperError: The words name no model or several, or the folder holds other files.
    """
    named = find_models(workspace, cells)
    if len(named.trainings) != 1 or named.folders:
        ids = ", ".join(folder.train_id for folder in named.trainings)
        raise DataError(
            f"{' '.join(cells)} names {len(named.trainings)} trainings ({ids or 'none'}), and a"
            " folder holds one; export them one by one (`sweeper predict` takes several folders as"
            " an ensemble)"
        )
    _require_free(output)
    (training,) = named.trainings
    facts = with_evaluation(facts_of(workspace, training), named.evaluation)
    means = site_means(_scores(training, facts))
    # written beside it first, so that an interrupted export leaves no incomplete folder
    output = output.absolute()
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    write_model_folder(partial, facts, load_weights(training.path / "best.pt"))
    (partial / CARD).write_text(model_card(facts, means, __version__), encoding="utf-8")
    (partial / SCORES).write_text(json.dumps(means, indent=1) + "\n", encoding="utf-8")
    (partial / LICENCE).write_text(_licence(), encoding="utf-8")
    shutil.rmtree(output, ignore_errors=True)
    partial.rename(output)
    size = sum(file.stat().st_size for file in output.iterdir())
    return Exported(folder=output, facts=facts, n_bytes=size)


def export_mlflow(workspace: Workspace, cells: Sequence[str], output: Path) -> Exported:
    """Write the model as an MLflow pyfunc model, with the folder of `export` among its artifacts.

    Args:
        workspace: As for `export`.
        cells: As for `export`.
        output: Folder that does not exist.

    Raises:
        SweeperError: As for `export`; the folder exists; MLflow cannot write.
    """
    from sweeper.tracking.mlflow_model import write_mlflow_model  # MLflow: seconds

    if output.exists():
        raise DataError(f"{output} already exists; choose another folder")
    with tempfile.TemporaryDirectory() as temporary:
        exported = export(workspace, cells, Path(temporary) / "model")
        write_mlflow_model(exported.folder, output, [f"sweeper=={__version__}"])
    size = sum(file.stat().st_size for file in output.rglob("*") if file.is_file())
    return replace(exported, folder=output, n_bytes=size)


def register(workspace: Workspace, cells: Sequence[str], name: str) -> tuple[Exported, int]:
    """Put the model that the words name into MLflow's registry; returns it and its version.

    Raises:
        SweeperError: As for `export`; the training is not in MLflow; the name is not allowed.
    """
    from sweeper.tracking.mlflow_model import register_model, run_of_training  # MLflow: seconds

    if not re.fullmatch(r"[\w.-]+", name):
        raise DataError(
            f"--name is {name!r}, expected letters, digits, '-', '_' and '.', such as prostate"
        )
    with tempfile.TemporaryDirectory() as temporary:
        exported = export_mlflow(workspace, cells, Path(temporary) / "mlflow")
        facts = exported.facts
        run_id = run_of_training(workspace, facts.train_id)
        if run_id is None:
            raise DataError(
                f"training {facts.train_id} is not in MLflow; log it by running its sweep again"
                " (nothing is trained twice)"
            )
        tags = {"train_id": facts.train_id, "dataset": facts.dataset, "cell": facts.name}
        version = register_model(workspace, exported.folder, name, run_id, tags)
    return exported, version


def _require_free(output: Path) -> None:
    """Raise if the folder holds anything but an exported model.

    Raises:
        DataError: It does.
    """
    if not output.exists():
        return
    is_model = (output / MODEL_FILE).is_file() and (output / WEIGHTS_FILE).is_file()
    if not output.is_dir() or (any(output.iterdir()) and not is_model):
        raise DataError(f"{output} already exists and is no exported model; choose another folder")


def _scores(training: TrainingFolder, facts: ModelFacts) -> list[dict[str, Any]]:
    """The scores with the model's evaluation settings; none if it was not scored with them."""
    wanted = facts.config.evaluation.model_dump(mode="json")
    for eval_id in training.evaluations():
        scored = training.evaluation(eval_id)
        if scored is not None and {**wanted, **scored["settings"]} == wanted:
            return list(scored["scores"])
    return []


def _licence() -> str:
    """The licence text of this package; its name if it was installed without the file."""
    try:
        for file in files("sweeper") or ():
            if file.name == LICENCE:
                return file.read_text()
    except PackageNotFoundError:
        pass
    beside = Path(__file__).parents[3] / LICENCE
    return beside.read_text(encoding="utf-8") if beside.is_file() else "Apache-2.0\n"
