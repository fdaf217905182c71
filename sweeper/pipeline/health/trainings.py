"""Checks the folders of the ledger: records, checkpoints and masks of every training."""

from __future__ import annotations

import json
import zipfile
import zlib
from typing import TYPE_CHECKING

from desam_model.checkpoint_file import DamagedCheckpointError, require_intact
from desam_model.training.state import BEST, LAST, SELECTION
from sweeper.errors import StoreError
from sweeper.pipeline.health.finding import Finding
from sweeper.plan.identity import short_hash
from sweeper.sealed import is_sealed
from sweeper.store.json_file import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sweeper.store.ledger import TrainingFolder

_FIT = ("fit.json", SELECTION, BEST)
"""Files that come from one fit and must agree."""

_SELECTION_DIFFERS = "it does not agree with fit.json"


def training_findings(folder: TrainingFolder) -> list[Finding]:
    """What is damaged in the folder of a training that is not running."""
    damaged = dict(_damaged_files(folder))
    findings = [
        _finding(path, problem, "is scored again", path.parent)
        for path, problem in damaged.items()
        if path.parent != folder.path
    ]
    of_fit = {path: problem for path, problem in damaged.items() if path.name in _FIT}
    findings += [
        _finding(path, problem, "writes it again", path)
        for path, problem in damaged.items()
        if path.parent == folder.path and path not in of_fit
    ]
    if of_fit:
        last = folder.path / LAST
        problem = "; ".join(f"{path.name}: {text}" for path, text in of_fit.items())
        if last.is_file() and last not in damaged:
            aside = [path for name in _FIT if (path := folder.path / name).exists()]
            remedy = f"finishes the training from {LAST}"
        else:
            aside, remedy = [folder.path], "trains it again"
        findings.append(_finding(folder.path, problem, remedy, *aside))
    return findings


def records_without_checksum(folder: TrainingFolder) -> int:
    """Number of results that an earlier version wrote without a checksum."""
    records = [folder.path / "fit.json", *folder.path.glob("evaluations/*/scores.json")]
    return sum(
        not is_sealed(path.read_text(encoding="utf-8", errors="replace"))
        for path in records
        if path.is_file()
    )


def _finding(path: Path, problem: str, remedy: str, *aside: Path) -> Finding:
    return Finding(path=path, problem=problem, remedy=f"`sweeper run` {remedy}", aside=aside)


def _damaged_files(folder: TrainingFolder) -> Iterator[tuple[Path, str]]:
    for path in sorted(
        [*folder.path.glob("[!.]*.json"), *folder.path.glob("evaluations/*/*.json")]
    ):
        try:
            values = read_json(path)
        except StoreError as err:
            yield path, str(err).removeprefix(f"{path}: ").partition(";")[0]
            continue
        if path.name == "config.json" and short_hash(values["identity"]) != folder.train_id:
            yield path, "the identity in it is not that of the folder's name"
        if path.name == SELECTION and not _agrees(folder, values):
            yield path, _SELECTION_DIFFERS
    for path in (folder.path / BEST, folder.path / LAST):
        if path.exists():
            try:
                require_intact(path)
            except DamagedCheckpointError as err:
                yield path, str(err).removeprefix(f"{path} ").partition(";")[0]
    for path in sorted(folder.path.glob("evaluations/*/[!.]*.npz")):
        try:
            with zipfile.ZipFile(path) as archive:
                is_damaged = archive.testzip() is not None
        except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, ValueError):
            is_damaged = True
        if is_damaged:
            yield path, "the masks in it do not match their checksums"


def _agrees(folder: TrainingFolder, selection: object) -> bool:
    """True if `selection.json` says what `fit.json` says, or there is no intact `fit.json`."""
    try:
        fit = folder.fit()
    except StoreError:
        return True
    if fit is None or not isinstance(selection, dict):
        return fit is None
    told = [selection.get("selected_epoch"), selection.get("validation_loss")]
    known = [fit["selected_epoch"], [epoch["validation_loss"] for epoch in fit["epochs"]]]
    return json.dumps(told) == json.dumps(known)
