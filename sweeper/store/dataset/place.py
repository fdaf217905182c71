"""Finds the dataset store that a user or a search space names, by name or by path."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.errors import StoreError

if TYPE_CHECKING:
    from sweeper.store.workspace import Workspace


def dataset_path(workspace: Workspace, name_or_path: str) -> Path:
    """Path of the dataset store with this name or path.

    Raises:
        StoreError: The name is neither a dataset of the workspace nor a store in this folder.
    """
    store_path = find_dataset(workspace, name_or_path)
    if store_path is not None:
        return store_path
    if looks_like_a_path(name_or_path):
        return _as_path(name_or_path)
    known = sorted(path.stem for path in workspace.datasets.glob("[!.]*.zarr"))
    raise StoreError(
        f"dataset {name_or_path!r} is neither in this workspace"
        f" ({workspace.datasets / name_or_path}.zarr) nor a dataset store in this folder"
        f" ({_as_path(name_or_path)}); imported are {', '.join(known) or 'none'}. Import one:"
        " sweeper data import FOLDER --name NAME"
    )


def find_dataset(workspace: Workspace, name_or_path: str) -> Path | None:
    """The existing store: the workspace's with that name, else the one at that path, or None."""
    named = workspace.datasets / f"{name_or_path}.zarr"
    if not looks_like_a_path(name_or_path) and named.exists():
        return named
    path = _as_path(name_or_path)
    return path if (path / "zarr.json").is_file() else None


def looks_like_a_path(text: str) -> bool:
    """True if text cannot be a dataset's name: `./prostate`, `~/prostate`, `prostate.zarr`."""
    return os.sep in text or text.startswith((".", "~")) or text.endswith(".zarr")


def _as_path(text: str) -> Path:
    return Path(text).expanduser().absolute()
