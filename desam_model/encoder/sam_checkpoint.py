"""Checks and reads checkpoints with SAM's layout without running code from the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from segment_anything import sam_model_registry

from desam_model.checkpoint_file import read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from desam_model.encoder.entry import EncoderEntry

PARTS = ("image encoder", "prompt encoder", "mask decoder")
"""The parts of a checkpoint, whose weights are named `image_encoder.*` and so on."""


def check_sam_checkpoint(entry: EncoderEntry, path: Path) -> None:
    """Check that a file holds all of a SAM ViT's weights with the right shapes.

    The file is memory-mapped, so only its table of contents is read.

    Args:
        entry: One of SAM's ViTs with a checkpoint.
        path: SAM's `.pth` file, or a fine-tuned one with the same names and shapes, such as
            MedSAM's.

    Raises:
        ValueError: The file is missing, truncated, not a checkpoint, or of another model.
    """
    with torch.device("meta"):
        expected = sam_model_registry[entry.sizes.model]().state_dict()
    require_parts(read_weights(path, entry), expected, PARTS, path, entry)


def image_encoder_weights(
    path: Path, entry: EncoderEntry, expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The image encoder's weights in a checkpoint, float32, without the name prefix.

    Args:
        path: The file.
        entry: The encoder, for error messages.
        expected: State dict of the encoder; may be on the meta device.

    Raises:
        ValueError: The file is missing, truncated, not a checkpoint, or of another model.
    """
    weights = read_weights(path, entry)
    prefix = "image_encoder."
    named = {prefix + key: value for key, value in expected.items()}
    require_parts(weights, named, ("image encoder",), path, entry)
    return {key: weights[prefix + key].to(value.dtype).clone() for key, value in expected.items()}


def read_weights(path: Path, entry: EncoderEntry) -> dict[str, Tensor]:
    """All tensors of a checkpoint by name, memory-mapped.

    Raises:
        ValueError: The file is missing, truncated or not a checkpoint.
    """
    try:
        saved = read_checkpoint(path, is_mapped=True)
    except FileNotFoundError as err:
        raise ValueError(f"checkpoint {path} does not exist; {_way(entry)}") from err
    except ValueError as err:
        raise ValueError(f"{err}; for the original file, {_way(entry)}") from err
    return {key: value for key, value in saved.items() if isinstance(value, torch.Tensor)}


def require_parts(
    weights: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    parts: tuple[str, ...],
    path: Path,
    entry: EncoderEntry,
) -> None:
    """Raise unless the tensors of the parts are exactly the expected ones, with the same shapes.

    Raises:
        ValueError: Names the part, and the first name or shape that differs.
    """
    for part in parts:
        prefix = part.replace(" ", "_") + "."
        shapes = {k: tuple(v.shape) for k, v in weights.items() if k.startswith(prefix)}
        wanted = {k: tuple(v.shape) for k, v in expected.items() if k.startswith(prefix)}
        if shapes == wanted:
            continue
        differing = sorted(k for k in shapes | wanted if shapes.get(k) != wanted.get(k))
        first = differing[0]
        raise ValueError(
            f"checkpoint {path} does not hold the {part} of {entry.name}: it has {len(shapes)}"
            f" tensors named {prefix}*, expected {len(wanted)}; {first} is"
            f" {shapes.get(first, 'missing')}, expected {wanted.get(first, 'none')};"
            f" {_way(entry)}"
        )


def _way(entry: EncoderEntry) -> str:
    return entry.weights.way if entry.weights is not None else f"{entry.name} reads none"
