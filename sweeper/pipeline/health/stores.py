"""Checks dataset stores, embedding stores and checkpoints of encoders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.config.trial import ABDOMINAL_PHANTOM, PHANTOM
from sweeper.errors import StoreError
from sweeper.pipeline.health.finding import Finding
from sweeper.store.dataset.store import DatasetStore
from sweeper.store.embeddings.inventory import damaged_slices
from sweeper.store.embeddings.store import EmbeddingStore
from sweeper.store.weights import damaged_weights

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sweeper.store.workspace import Workspace

_SHOWN = 5


def dataset_findings(path: Path) -> list[Finding]:
    """What is damaged in a dataset store; every voxel and label is read."""
    try:
        store = DatasetStore.open(path)
        damaged = store.damaged_cases()
    except StoreError as err:
        return [_of_dataset(path, str(err).partition(" is damaged: ")[2].partition(";")[0])]
    if not damaged:
        return []
    shown = ", ".join(damaged[:_SHOWN]) + (", ..." if len(damaged) > _SHOWN else "")
    return [_of_dataset(path, f"{len(damaged)} cases are not as they were written ({shown})")]


def _of_dataset(path: Path, problem: str) -> Finding:
    problem = problem or "it cannot be opened"
    if path.stem in (PHANTOM, ABDOMINAL_PHANTOM):
        return Finding(
            path=path, problem=problem, remedy="`sweeper run` creates it again", aside=(path,)
        )
    command = f"sweeper data import SOURCE --name {path.stem} --replace"
    return Finding(path=path, problem=problem, remedy=f"import it again: {command}")


def embedding_findings(path: Path) -> list[Finding]:
    """What is damaged in an embedding store; every committed slice is read."""
    try:
        store = EmbeddingStore.open(path)
    except StoreError as err:
        problem = str(err).partition(": ")[2].partition(";")[0]
        remedy = "`sweeper run` or `sweeper embed` creates it again"
        return [Finding(path=path, problem=problem, remedy=remedy, aside=(path,))]
    damaged = damaged_slices(store)
    if not damaged:
        return []
    return [
        Finding(
            path=path,
            problem=f"{len(damaged)} of {store.n_slices} slices do not match their checksums",
            remedy="`sweeper run` or `sweeper embed` computes them again",
            slices=tuple(damaged),
        )
    ]


def weights_findings(workspace: Workspace) -> Iterator[Finding]:
    """Checkpoints of encoders that are not as they were when they were last used."""
    for path, problem in damaged_weights(workspace.weights).items():
        sidecar = path.with_name(path.name + ".sha256.json")
        yield Finding(
            path=path,
            problem=problem,
            remedy="`sweeper weights get`, or copy the file again",
            aside=tuple(p for p in (path, sidecar) if p.exists()),
        )
