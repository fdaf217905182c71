"""Looks up datasets by name or path; the phantoms are created on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.config.trial import ABDOMINAL_PHANTOM, PHANTOM
from sweeper.data.case_pool import default_processes
from sweeper.data.phantom.abdomen import write_abdominal_phantom
from sweeper.data.phantom.prostate import write_phantom
from sweeper.locks import exclusive_write
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
    """The dataset with this name in the workspace, or at this path; phantoms are created if needed.

    Raises:
        StoreError: It does not exist, or it is not a finished dataset store.
    """
    if name_or_path == PHANTOM:
        return DatasetStore.open(ensure_phantom(workspace, progress))
    if name_or_path == ABDOMINAL_PHANTOM:
        return DatasetStore.open(ensure_abdominal_phantom(workspace, progress))
    return DatasetStore.open(dataset_path(workspace, name_or_path))


def ensure_phantom(workspace: Workspace, progress: Progress | None = None) -> Path:
    """Path of the dataset store of the six-site phantom, created if it does not exist."""

    def write(root: Path, told: Callable[[int, int], None] | None) -> None:
        write_phantom(root, processes=default_processes(), progress=told)

    return _ensure(workspace, PHANTOM, "saml", write, progress)


def ensure_abdominal_phantom(workspace: Workspace, progress: Progress | None = None) -> Path:
    """Path of the dataset store of the CT/MR phantom, created if it does not exist."""

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
    """Generate a phantom and import it like real data, unless this was done before."""
    target = workspace.datasets / f"{name}.zarr"
    if target.exists():
        return target
    source = workspace.root / name
    with exclusive_write(source):
        if not source.exists():
            write(source, None if progress is None else lambda n, of: progress(name, n, of))
    import_dataset(source, target, ImportOptions(layout=layout, is_synthetic=True), progress)
    return target
