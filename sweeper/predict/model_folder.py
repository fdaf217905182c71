"""Model folders: weights as safetensors, everything else as JSON and text; nothing is pickled."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from sweeper.errors import StoreError
from sweeper.predict.cells import MODEL_FILE
from sweeper.predict.facts import ModelFacts
from sweeper.predict.trained import open_model, with_evaluation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from desam_model.training.state import Weights
    from sweeper.predict.predictor import Model
    from sweeper.store.workspace import Workspace

WEIGHTS_FILE = "weights.safetensors"
_FORMAT, _VERSION = "sweeper-model", 1


def write_model_folder(folder: Path, facts: ModelFacts, weights: Weights) -> None:
    """Write `weights.safetensors` and `model.json` into an existing folder.

    Args:
        folder: Where to write.
        facts: Of the model.
        weights: State dict of the method.
    """
    contiguous = {
        name: value.detach().cpu().contiguous().clone() for name, value in weights.items()
    }
    save_file(contiguous, folder / WEIGHTS_FILE, metadata={"train_id": facts.train_id})
    content = {"format": _FORMAT, "version": _VERSION, **facts.to_json()}
    (folder / MODEL_FILE).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_facts(folder: Path) -> ModelFacts:
    """The facts in a model folder.

    Raises:
        StoreError: It is not a model folder, or one of a later version.
    """
    path = folder / MODEL_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("format") != _FORMAT or content.get("version") != _VERSION:
            raise StoreError(
                f"{path} has format {content.get('format')} {content.get('version')}, this sweeper"
                f" reads {_FORMAT} {_VERSION}; install the version of sweeper that wrote it"
            )
        return ModelFacts.from_json(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
        raise StoreError(
            f"{path} cannot be read ({err}); export the model again with `sweeper export`"
        ) from err


def open_model_folder(
    folder: Path,
    workspace: Workspace,
    device: torch.device,
    evaluation: Mapping[str, Any] | None = None,
) -> Model:
    """The model in a folder; SAM's weights, which it does not contain, come from the workspace.

    Args:
        folder: Written by `write_model_folder`.
        workspace: With the encoder's checkpoint, if the encoder has one.
        device: Device of the model.
        evaluation: Evaluation settings to change.

    Raises:
        StoreError: The folder is incomplete or damaged.
        WeightsError: The encoder's checkpoint is missing or another one.
    """
    facts = with_evaluation(read_facts(folder), evaluation or {})
    path = folder / WEIGHTS_FILE
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as err:
        raise StoreError(
            f"{path} cannot be read ({err}); export the model again with `sweeper export`"
        ) from err
    return open_model(facts, weights, workspace, device)
