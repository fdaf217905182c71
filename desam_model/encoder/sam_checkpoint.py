"""Checks and reads SAM checkpoints without running code from the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from segment_anything import sam_model_registry

from desam_model.checkpoint_file import read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

_PREFIX = "image_encoder."


def check_sam_checkpoint(path: Path, name: str) -> None:
    """Check that a file holds all of SAM's weights with the shapes of `name`.

    The file is memory-mapped, so only its table of contents is read.

    Args:
        path: SAM's `.pth` file, or a fine-tuned one with the same names and shapes, such as
            MedSAM's.
        name: `vit_b`, `vit_l` or `vit_h`.

    Raises:
        ValueError: The file is missing, truncated, not a checkpoint, or of another model.
    """
    with torch.device("meta"):
        expected = sam_model_registry[name]().state_dict()
    weights = _read(path, name)
    _require(weights, expected, "image encoder", path, name)
    _require(weights, expected, "prompt encoder", path, name)
    _require(weights, expected, "mask decoder", path, name)


def image_encoder_weights(
    path: Path, name: str, expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The image encoder's weights in a SAM checkpoint, float32, without the name prefix.

    Args:
        path: SAM's `.pth` file.
        name: `vit_b`, `vit_l` or `vit_h`, for error messages.
        expected: State dict of the encoder; may be on the meta device.

    Raises:
        ValueError: The file is missing, truncated, not a checkpoint, or of another model.
    """
    weights = _read(path, name)
    _require(
        weights,
        {_PREFIX + key: value for key, value in expected.items()},
        "image encoder",
        path,
        name,
    )
    return {key: weights[_PREFIX + key].float().clone() for key in expected}


def _read(path: Path, name: str) -> dict[str, Tensor]:
    try:
        saved = read_checkpoint(path, is_mapped=True)
    except FileNotFoundError as err:
        raise ValueError(
            f"checkpoint {path} does not exist; download it with 'sweeper weights get {name}'"
        ) from err
    except ValueError as err:
        raise ValueError(
            f"{err}; 'sweeper weights get {name}' downloads SAM's original file"
        ) from err
    return {key: value for key, value in saved.items() if isinstance(value, torch.Tensor)}


def _require(
    weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], part: str, path: Path, name: str
) -> None:
    """Raise unless the tensors of `part` are exactly the expected ones, with the same shapes."""
    prefix = part.replace(" ", "_") + "."
    shapes = {key: value.shape for key, value in weights.items() if key.startswith(prefix)}
    wanted = {key: value.shape for key, value in expected.items() if key.startswith(prefix)}
    if shapes == wanted:
        return
    raise ValueError(
        f"checkpoint {path} does not hold SAM's {name} {part}: it has {len(shapes)} tensors named"
        f" {prefix}*, expected {len(wanted)} with the shapes of {name}; download the right file"
        f" with 'sweeper weights get {name}'"
    )
