"""`sweeper merge`: takes over the finished trainings of another workspace, after checking them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from desam_model.training.state import load_weights
from sweeper.config.trial import TrialConfig
from sweeper.errors import StoreError, WorkspaceError
from sweeper.plan.code_version import training_version
from sweeper.plan.identity import short_hash
from sweeper.store.dataset.store import read_attributes
from sweeper.store.embeddings.store import EmbeddingStore
from sweeper.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sweeper.store.ledger import TrainingFolder
    from sweeper.store.workspace import Workspace

_NOT_COPIED = ("last.pt", "lease.json", "failure.json", "remedy.json")
"""Of the machine that trained; a finished training needs none of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeOutcome:
    """What a merge did, or would do.

    Attributes:
        taken: Train ids of the new trainings.
        scored: Train ids of trainings that were here and got further scorings.
        present: Train ids of which nothing was missing here.
        refused: Train id -> why it was not taken.
    """

    taken: tuple[str, ...]
    scored: tuple[str, ...]
    present: tuple[str, ...]
    refused: Mapping[str, str]


def merge(workspace: Workspace, other: Path, *, is_dry: bool = False) -> MergeOutcome:
    """Copy the finished trainings of another workspace that this one can use.

    A training is used if its files match its id, and dataset, encoder and code are those of this
    workspace. Nothing that is here is overwritten. `sweeper run SPACE` then logs the results in
    MLflow and trains only the rest.

    Args:
        workspace: The workspace that gets them.
        other: The other workspace; it is not changed.
        is_dry: Only check.

    Raises:
        WorkspaceError: `other` is not a workspace, or is this one.
    """
    theirs = other.absolute() / "trainings"
    if not theirs.is_dir():
        raise WorkspaceError(f"{other} has no folder trainings; name another workspace")
    if theirs.resolve() == workspace.trainings.resolve():
        raise WorkspaceError(f"{other} is this workspace; name another one")
    datasets, embeddings = _datasets(workspace), _embeddings(workspace)
    ours = Ledger(workspace.trainings)
    taken: list[str] = []
    scored: list[str] = []
    present: list[str] = []
    refused: dict[str, str] = {}
    for folder in Ledger(theirs):
        try:
            reason = _reason_against(folder, datasets, embeddings)
        except (StoreError, ValueError, KeyError, TypeError) as err:
            reason = f"its files are damaged ({str(err).splitlines()[0]})"
        here = ours.folder(folder.train_id)
        if reason:
            refused[folder.train_id] = reason
        elif here.fit() is None:
            if here.lease_owner() is not None:
                refused[folder.train_id] = f"it is being trained here by {here.lease_owner()}"
                continue
            taken.append(folder.train_id)
            if not is_dry:
                _copy(folder.path, here.path)
        else:
            missing = [e for e in folder.evaluations() if not here.has_evaluation(e)]
            (scored if missing else present).append(folder.train_id)
            for eval_id in missing if not is_dry else ():
                _copy(folder.evaluation_folder(eval_id), here.evaluation_folder(eval_id))
    return MergeOutcome(
        taken=tuple(taken), scored=tuple(scored), present=tuple(present), refused=refused
    )


def _reason_against(
    folder: TrainingFolder, datasets: Mapping[str, str], embeddings: Mapping[str, str]
) -> str:
    """Why a training cannot be taken over; empty if it can."""
    description = folder.config()
    if description is None or folder.fit() is None or not (folder.path / "best.pt").is_file():
        return "it is not finished"
    identity: dict[str, Any] = dict(description["identity"])
    if short_hash(identity) != folder.train_id:
        return "its identity does not match its id, so its files were changed"
    config = TrialConfig.model_validate(description["config"])
    code = training_version(config.method.module())
    if identity["code"] != code:
        return f"it was trained by code {identity['code']}, this version trains with {code}"
    if identity["dataset"] not in datasets:
        return (
            f"its dataset {config.dataset} ({identity['dataset']}) is not here; import it, or copy"
            " its store from datasets/ of the other workspace"
        )
    embedding = identity.get("embedding")
    key = f"{identity['dataset']} {config.encoder.name} {config.encoder.precision}"
    known = embeddings.get(key)
    if embedding is not None and known not in (None, embedding):
        return f"it read embeddings {embedding}, and those of this workspace are {known}"
    load_weights(folder.path / "best.pt")
    return ""


def _datasets(workspace: Workspace) -> dict[str, str]:
    """Fingerprint -> name of the datasets here."""
    paths = sorted(workspace.datasets.glob("[!.]*.zarr"))
    return {str(read_attributes(path)["fingerprint"]): path.stem for path in paths}


def _embeddings(workspace: Workspace) -> dict[str, str]:
    """Dataset, encoder and precision -> fingerprint of the embeddings here."""
    found = {}
    for path in sorted(workspace.embeddings.glob("*.zarr")):
        store = EmbeddingStore.open(path)
        if not store.manifest.is_background:
            key = f"{store.dataset_fingerprint} {store.encoder} {store.precision}"
            found[key] = store.fingerprint
    return found


def _copy(source: Path, target: Path) -> None:
    """Copy a folder; it appears complete, so that an interrupted merge leaves no half training.

    An unfinished training at the target is replaced.
    """
    partial = target.parent / f".{target.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(source, partial, ignore=shutil.ignore_patterns(*_NOT_COPIED, ".*"))
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
