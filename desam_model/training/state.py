"""The state that a training needs to resume, and its files."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from desam_model.checkpoint_file import read_checkpoint, write_atomically
from desam_model.types import EpochRecord

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

_FORMAT = 1
LAST, BEST, SELECTION = "last.pt", "best.pt", "selection.json"
Weights = dict[str, "Tensor"]


@dataclass(slots=True, kw_only=True)
class TrainingState:
    """The state after the last epoch in `epochs`.

    Attributes:
        weights: State dict of the method.
        optimizer: State dict of the optimiser.
        scaler: State dict of the gradient scaler; empty without one.
        best_weights: State dict of the method at the selected epoch.
        epochs: One record per finished epoch.
        stopped_early: True if the caller returned STOP after the last of them.
        seconds: Training time so far.
        peak_memory_bytes: Peak memory so far.
    """

    weights: Weights
    optimizer: dict[str, Any]
    scaler: dict[str, Any] = field(default_factory=dict)
    best_weights: Weights = field(default_factory=dict)
    epochs: list[EpochRecord] = field(default_factory=list)
    stopped_early: bool = False
    seconds: float = 0.0
    peak_memory_bytes: int = 0

    @property
    def selected_epoch(self) -> int:
        """The best epoch so far, the first one among ties; -1 before the first epoch."""
        return max((record.epoch for record in self.epochs if record.is_best), default=-1)


def save_state(state: TrainingState, folder: Path, identity: dict[str, Any]) -> None:
    """Write `last.pt`, replacing the previous one atomically.

    Args:
        state: The state to save.
        folder: The training's folder; created if it does not exist.
        identity: Seed and schedule of the training.
    """
    values = {name: getattr(state, name) for name in TrainingState.__slots__}
    values["epochs"] = [asdict(record) for record in state.epochs]
    write_atomically(folder / LAST, {"format": _FORMAT, "identity": identity, "state": values})


def load_state(folder: Path, identity: dict[str, Any]) -> TrainingState | None:
    """The state in `last.pt`, or None if there is none.

    Args:
        folder: The training's folder.
        identity: Seed and schedule that the file must have.

    Raises:
        ValueError: The file is damaged, or has another seed or schedule.
    """
    path = folder / LAST
    if not path.exists():
        return None
    saved = read_checkpoint(path)
    if saved.get("format") != _FORMAT or saved.get("identity") != identity:
        raise ValueError(
            f"{path} belongs to another training ({saved.get('identity')}, expected {identity});"
            " delete it to train again from the start"
        )
    values = saved["state"]
    values["epochs"] = [EpochRecord(**record) for record in values["epochs"]]
    return TrainingState(**values)


def save_selection(state: TrainingState, folder: Path, rule: str) -> None:
    """Write the selected weights to `best.pt` and the selection rule to `selection.json`.

    Both files depend only on the inputs and the seed of the training.
    """
    write_atomically(folder / BEST, {"format": _FORMAT, "weights": state.best_weights})
    selection = {
        "rule": rule,
        "selected_epoch": state.selected_epoch,
        "validation_loss": [record.validation_loss for record in state.epochs],
    }
    _replace(folder / SELECTION, (json.dumps(selection, indent=1) + "\n").encode())


def copied_weights(method: nn.Module) -> Weights:
    """A copy of the current weights, which later steps do not change."""
    return {name: value.detach().clone() for name, value in method.state_dict().items()}


def load_weights(path: Path) -> Weights:
    """The weights in a `best.pt`.

    Raises:
        ValueError: The file is damaged or is not a checkpoint of this program.
    """
    saved = read_checkpoint(path)
    if saved.get("format") != _FORMAT or "weights" not in saved:
        raise ValueError(f"{path} is not a checkpoint of this program (format {_FORMAT})")
    weights: Weights = saved["weights"]
    return weights


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
