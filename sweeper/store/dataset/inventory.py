"""The dataset stores of a workspace: which exist, their sizes and users, and how one is removed."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeper.errors import StoreError
from sweeper.locks import exclusive_write
from sweeper.store.dataset.place import find_dataset
from sweeper.store.dataset.store import DatasetStore, read_attributes
from sweeper.store.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

    from sweeper.store.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSummary:
    """One dataset store in a list.

    Attributes:
        name: Name in the workspace.
        path: Its folder.
        size_bytes: Bytes on disk.
        store: The store; None if it is damaged.
        problem: Why it cannot be opened; empty if it can.
        trainings: Names of the ledger's trainings that read a dataset with its fingerprint.
        running: Those of them that a process works on now.
    """

    name: str
    path: Path
    size_bytes: int
    store: DatasetStore | None
    problem: str = ""
    trainings: tuple[str, ...] = ()
    running: tuple[str, ...] = ()


def summarise_datasets(workspace: Workspace) -> list[DatasetSummary]:
    """All dataset stores of the workspace, ordered by name."""
    users = _users(workspace)
    return [_summary(path, users) for path in sorted(workspace.datasets.glob("[!.]*.zarr"))]


def dataset_with(workspace: Workspace, fingerprint: str, name_or_path: str) -> Path | None:
    """The dataset store with a fingerprint, under whatever name; None if the workspace has none.

    Args:
        workspace: The workspace.
        fingerprint: Of the content.
        name_or_path: Where it is expected.
    """
    named = find_dataset(workspace, name_or_path)
    others = sorted(workspace.datasets.glob("[!.]*.zarr"))
    for path in [named, *others] if named is not None else others:
        if read_attributes(path)["fingerprint"] == fingerprint:
            return path
    return None


def remove_dataset(workspace: Workspace, name: str) -> DatasetSummary:
    """Remove a dataset store of the workspace; results of its trainings are kept.

    An unfinished import of the same name is removed too. An import that is running is waited for.

    Raises:
        StoreError: There is no dataset with this name, or a training reads it now.
    """
    path = workspace.datasets / f"{name}.zarr"
    if not path.exists():
        known = ", ".join(s.stem for s in sorted(workspace.datasets.glob("[!.]*.zarr")))
        raise StoreError(
            f"there is no dataset {name!r} in {workspace.datasets}; the datasets are"
            f" {known or 'none'}"
        )
    with exclusive_write(path):
        summary = _summary(path, _users(workspace))
        if summary.running:
            raise StoreError(
                f"dataset {name} is read by a running training ({summary.running[0]}); wait until"
                " it has ended, or stop it"
            )
        hidden = path.with_name(f".{path.name}.old")  # an interrupted removal leaves no half store
        shutil.rmtree(hidden, ignore_errors=True)
        path.rename(hidden)
        shutil.rmtree(hidden)
        shutil.rmtree(path.with_name(f".{path.name}.parts"), ignore_errors=True)
    return summary


def _summary(path: Path, users: dict[str, list[tuple[str, bool]]]) -> DatasetSummary:
    size_bytes = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    try:
        store = DatasetStore.open(path)
    except StoreError as err:
        return DatasetSummary(
            name=path.stem, path=path, size_bytes=size_bytes, store=None, problem=str(err)
        )
    trainings = users.get(store.fingerprint, [])
    return DatasetSummary(
        name=path.stem,
        path=path,
        size_bytes=size_bytes,
        store=store,
        trainings=tuple(name for name, _ in trainings),
        running=tuple(name for name, is_running in trainings if is_running),
    )


def _users(workspace: Workspace) -> dict[str, list[tuple[str, bool]]]:
    """Dataset fingerprint -> (name, whether it is running) of the trainings that read it."""
    users: dict[str, list[tuple[str, bool]]] = {}
    for folder in Ledger(workspace.trainings):
        description = folder.config() or {}
        dataset = (description.get("identity") or {}).get("dataset")
        if dataset:
            name = str(description.get("name", folder.train_id))
            users.setdefault(str(dataset), []).append((name, folder.lease_owner() is not None))
    return users
