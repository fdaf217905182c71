"""Checkpoint files: read without running code from the file, written atomically."""

from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from pathlib import Path


class DamagedCheckpointError(ValueError):
    """A checkpoint's bytes are not those that were written."""


def read_checkpoint(path: Path, *, is_mapped: bool = False) -> dict[str, Any]:
    """The dictionary of tensors and plain values in a file; nothing else is unpickled.

    Args:
        path: The file.
        is_mapped: Memory-map the file, so that only the weights that are used are read; their
            checksums are then not checked.

    Raises:
        ValueError: The file is truncated, damaged, or not a dictionary of weights.
    """
    try:
        is_archive = zipfile.is_zipfile(path)
        if is_archive:
            require_intact(path, reads=not is_mapped)
        mmap = is_mapped and is_archive
        saved = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except (FileNotFoundError, DamagedCheckpointError):
        raise
    except Exception as err:  # torch raises many types for a damaged file
        raise ValueError(
            f"{path} cannot be read as a checkpoint ({type(err).__name__}); it is truncated or not"
            " a checkpoint; remove it or use another file"
        ) from err
    if not isinstance(saved, dict):
        raise ValueError(f"{path} holds a {type(saved).__name__}, expected a dictionary of weights")  # noqa: TRY004
    return saved


def require_intact(path: Path, *, reads: bool = True) -> None:
    """Compare every part of a checkpoint with the checksum that torch wrote for it.

    `torch.load` does not: a changed bit would become a changed weight. It would also unpack
    compressed parts, which torch never writes, to any size.

    Args:
        path: The file.
        reads: False to look only at the sizes of the parts.

    Raises:
        DamagedCheckpointError: A part differs, or the file is not one that torch has written.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
                raise DamagedCheckpointError(f"{path} has compressed parts, as torch never writes")
            if sum(part.file_size for part in parts) > path.stat().st_size:
                raise DamagedCheckpointError(f"{path} has parts that are larger than the file")
            damaged = archive.testzip() if reads else None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OverflowError) as err:
        raise DamagedCheckpointError(f"{path} is damaged or truncated ({err})") from err
    if damaged is not None:
        raise DamagedCheckpointError(
            f"{path} is damaged: {damaged} does not match its checksum; remove it or use another"
            " file"
        )


def write_atomically(path: Path, content: dict[str, Any]) -> None:
    """Save `content` so that `path` is never partly written, even if the machine crashes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
