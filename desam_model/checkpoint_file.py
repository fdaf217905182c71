"""Checkpoint files: read without running code from the file, written atomically."""

from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from pathlib import Path


def read_checkpoint(path: Path, *, is_mapped: bool = False) -> dict[str, Any]:
    """The dictionary of tensors and plain values in a file; nothing else is unpickled.

    Args:
        path: The file.
        is_mapped: Memory-map the file, so that only the weights that are used are read.

    Raises:
        ValueError: The file is truncated, damaged, or not a dictionary of weights.
    """
    try:
        mmap = is_mapped and zipfile.is_zipfile(path)
        saved = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except FileNotFoundError:
        raise
    except Exception as err:  # torch raises many types for a damaged file
        raise ValueError(
            f"{path} cannot be read as a checkpoint ({type(err).__name__}); it is truncated or not"
            " a checkpoint; remove it or use another file"
        ) from err
    if not isinstance(saved, dict):
        raise ValueError(f"{path} holds a {type(saved).__name__}, expected a dictionary of weights")  # noqa: TRY004
    return saved


def write_atomically(path: Path, content: dict[str, Any]) -> None:
    """Save `content` so that `path` is never partly written, even if the machine crashes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
