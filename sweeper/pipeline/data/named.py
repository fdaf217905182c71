"""Datasets by name: those of the workspace, those at a path, and the phantoms made on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.config.trial import ABDOMINAL_PHANTOM, PHANTOM
from sweeper.data.case_pool import default_processes
from sweeper.data.phantom.abdomen import write_abdominal_phantom
from sweeper.data.phantom.prostate import write_phantom
from sweeper.locks import right_to_make
from sweeper.pipeline.data.importing import import_dataset
from sweeper.pipeline.data.options import ImportOptions
from sweeper.store.dataset.place import dataset_path
from sweeper.store.dataset.store import DatasetStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sweeper.pipeline.data.importing import Progress
    from sweeper.store.workspace import Workspace


def open_dataset(
    workspace: Workspace, name_or_path: str, progress: Progress | None = None
) -> DatasetStore:
    """The dataset of that name in the workspace, or at that path; phantoms are made if need be.

    Raises:
        StoreError: There is none, or it is not a finished dataset store.
    """
    if name_or_path == PHANTOM:
        return DatasetStore.open(ensure_phantom(workspace, progress))
    if name_or_path == ABDOMINAL_PHANTOM:
        return DatasetStore.open(ensure_abdominal_phantom(workspace, progress))
    return DatasetStore.open(dataset_path(workspace, name_or_path))


def ensure_phantom(workspace: Workspace, progress: Progress | None = None) -> Path:
    """Path of the six-site phantom's dataset store, made if it is not there yet."""

    def write(root: Path, told: Callable[[int, int], None] | None) -> None:
        write_phantom(root, processes=default_processes(), progress=told)

    return _ensure(workspace, PHANTOM, "saml", write, progress)


def ensure_abdominal_phantom(workspace: Workspace, progress: Progress | None = None) -> Path:
    """Path of the CT/MR phantom's dataset store, made if it is not there yet."""

    def write(root: Path, told: Callable[[int, int], None] | None) -> None:
        write_abdominal_phantom(root, progress=told)

    return _ensure(workspace, ABDOMINAL_PHANTOM, "abdominal", write, progress)


def _ensure(
    workspace: Workspace,
    name: str,
    layout: str,
    write: Callable[[Path, Callable[[int, int], None] | None], None],
    progress: Progress | None,
) -> Path:
    """Generate and import what is missing of a phantom, through the importer of real data."""
    target = workspace.datasets / f"{name}.zarr"
    if target.exists():
        return target
    source = workspace.root / name
    with right_to_make(source):
        if not source.exists():
            write(source, None if progress is None else lambda n, of: progress(name, n, of))
    import_dataset(source, target, ImportOptions(layout=layout, is_synthetic=True), progress)
    return target
