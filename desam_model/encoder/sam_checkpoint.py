"""What a SAM checkpoint must hold, and reading it; nothing of a file is run."""

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
    """Make sure that a file holds all of SAM's weights in the shapes of `name`.

    The file is mapped, so that only its table of contents is read.

    Args:
        path: SAM's `.pth`, or one trained from it that kept names and shapes, as MedSAM's.
        name: `vit_b`, `vit_l` or `vit_h`.

    Raises:
        ValueError: It is truncated, foreign, or of another model.
    """
    with torch.device("meta"):
        expected = sam_model_registry[name]().state_dict()
    found = _read(path, name)
    _require(found, expected, "image encoder", path, name)
    _require(found, expected, "prompt encoder", path, name)
    _require(found, expected, "mask decoder", path, name)


def image_encoder_weights(
    path: Path, name: str, expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The image encoder's weights in a SAM checkpoint, float32, under the encoder's own names.

    Args:
        path: SAM's `.pth`.
        name: `vit_b`, `vit_l` or `vit_h`, for the error's text.
        expected: State dict of the encoder to fill; may be on the meta device.

    Raises:
        ValueError: The file is missing, truncated, foreign, or of another model.
    """
    found = _read(path, name)
    _require(
        found,
        {_PREFIX + key: value for key, value in expected.items()},
        "image encoder",
        path,
        name,
    )
    return {key: found[_PREFIX + key].float().clone() for key in expected}


def _read(path: Path, name: str) -> dict[str, Tensor]:
    try:
        found = read_checkpoint(path, is_mapped=True)
    except FileNotFoundError as err:
        raise ValueError(f"checkpoint {path} does not exist") from err
    except ValueError as err:
        raise ValueError(f"{err}; 'sweeper weights get {name}' fetches SAM's own") from err
    return {key: value for key, value in found.items() if isinstance(value, torch.Tensor)}


def _require(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor], part: str, path: Path, name: str
) -> None:
    """The part's tensors are all there, in their shapes, and no others under its prefix."""
    prefix = part.replace(" ", "_") + "."
    held = {key: value.shape for key, value in found.items() if key.startswith(prefix)}
    wanted = {key: value.shape for key, value in expected.items() if key.startswith(prefix)}
    if held == wanted:
        return
    raise ValueError(
        f"checkpoint {path} does not hold SAM's {name} {part} ({len(held)} tensors called"
        f" {prefix}*, expected {len(wanted)} of {name}'s shapes); get the right one with"
        f" 'sweeper weights get {name}'"
    )
