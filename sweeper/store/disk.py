"""Room on the disk of an embedding store: asked for before anything is written."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from sweeper.errors import WorkspaceError

if TYPE_CHECKING:
    from pathlib import Path

    from sweeper.store.embedding_manifest import EmbeddingManifest

SPARE_BYTES = 512 * 2**20
"""Disk that filling a store leaves free."""


def free_bytes(path: Path) -> int:
    """Bytes free on the disk that holds `path`, which need not exist yet."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def require_room(path: Path, manifest: EmbeddingManifest, n_missing: int) -> None:
    """Refuse what the disk cannot hold.

    Raises:
        WorkspaceError: With what is needed and what is free.
    """
    needed, free = n_missing * manifest.slice_bytes + SPARE_BYTES, free_bytes(path)
    if n_missing and needed > free:
        raise WorkspaceError(
            f"the disk of {path.parent} has {free / 1e9:.1f} GB free, {n_missing} slices need"
            f" {needed / 1e9:.1f} GB with a reserve; free some, choose --precision int8, or another"
            " place with --workspace"
        )
