"""The embedding stores of a workspace: which exist, their sizes, users and damage."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sweeper.errors import StoreError
from sweeper.store.embeddings.store import EmbeddingStore
from sweeper.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sweeper.store.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSummary:
    """One embedding store in a list.

    Attributes:
        store: The store.
        size_bytes: Bytes on disk.
        users: The train_ids of the ledger's trainings that read it.
        methods: Human names of these trainings.
    """

    store: EmbeddingStore
    size_bytes: int
    users: tuple[str, ...]
    methods: tuple[str, ...] = ()


def summarise_stores(workspace: Workspace) -> tuple[list[StoreSummary], list[Path]]:
    """All embedding stores of the workspace ordered by name, and folders that are not stores."""
    users = _users(workspace)
    summaries, foreign = [], []
    for path in sorted(workspace.embeddings.glob("*.zarr")):
        try:
            store = EmbeddingStore.open(path)
        except StoreError:
            foreign.append(path)
            continue
        summaries.append(
            StoreSummary(
                store=store,
                size_bytes=sum(f.stat().st_size for f in path.rglob("*") if f.is_file()),
                users=tuple(users.get(_foreground(store), {})),
                methods=tuple(sorted(set(users.get(_foreground(store), {}).values()))),
            )
        )
    return summaries, foreign


def find_store(workspace: Workspace, name: str) -> EmbeddingStore:
    """The store of the workspace with this name, with or without `.zarr`.

    Raises:
        StoreError: There is no store with this name.
    """
    known = {path.stem: path for path in sorted(workspace.embeddings.glob("*.zarr"))}
    path = known.get(name.removesuffix(".zarr"))
    if path is None:
        raise StoreError(
            f"there is no embedding store {name!r} in {workspace.embeddings}; the stores are"
            f" {', '.join(known) or 'none'}"
        )
    return EmbeddingStore.open(path)


def damaged_slices(
    store: EmbeddingStore, progress: Callable[[int, int], None] | None = None
) -> dict[int, str]:
    """Committed slices whose bytes differ from those that were committed, with the reason."""
    fresh = EmbeddingStore(store.path, store.manifest, store.commits)
    committed = sorted(store.commits)
    damaged: dict[int, str] = {}

    def check(index: int) -> str | None:
        try:
            for array in store.manifest.arrays:
                fresh.values(array, index)
        except StoreError as err:
            return str(err)
        return None

    with ThreadPoolExecutor(2) as pool:
        for done, (index, reason) in enumerate(
            zip(committed, pool.map(check, committed), strict=True), start=1
        ):
            if reason is not None:
                damaged[index] = reason
            if progress is not None:
                progress(done, len(committed))
    return damaged


def remove_store(path: Path) -> None:
    """Delete a store: first renamed atomically, then its files."""
    doomed = path.with_name(f".{path.name}.removing")
    shutil.rmtree(doomed, ignore_errors=True)
    path.rename(doomed)
    shutil.rmtree(doomed)
    path.with_name(path.name + ".lock").unlink(missing_ok=True)


def _foreground(store: EmbeddingStore) -> str:
    """The fingerprint that trainings name; whole scans are read by scorings of the same ones."""
    return replace(store.manifest, scan_fingerprint="").fingerprint


def _users(workspace: Workspace) -> dict[str, dict[str, str]]:
    """Embedding fingerprint -> train_id -> human name of the trainings that read it."""
    users: dict[str, dict[str, str]] = {}
    for folder in Ledger(workspace.trainings):
        description = folder.config() or {}
        embedding = (description.get("identity") or {}).get("embedding")
        if embedding:
            names = users.setdefault(str(embedding), {})
            names[folder.train_id] = str(description.get("name", folder.train_id))
    return users
