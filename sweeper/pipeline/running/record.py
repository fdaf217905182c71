"""From a training's folder to the record that MLflow keeps."""

from __future__ import annotations

import math
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.plan.expand import evaluation_settings, parameters
from sweeper.records import Row, TrainingRecord, TrialStatus
from sweeper.tracking.tracker import TrainingStart, sweep_name
from sweeper.version import MAIN_PACKAGES, __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeper.plan.expand import Training
    from sweeper.store.ledger import TrainingFolder

_CURVES = ("train_loss", "validation_loss", "source_dice", "lr", "seconds")
_SUMMARY = (
    "selected_epoch",
    "seconds",
    "peak_memory_bytes",
    "trainable_parameters",
    "n_train_slices",
)


def training_record(
    training: Training,
    folder: TrainingFolder,
    sweep: str,
    *,
    tags: Mapping[str, str] | None = None,
    artifacts: Mapping[str, Path] | None = None,
) -> TrainingRecord:
    """What is known of a training that has ended, whichever way."""
    fit = folder.fit() or {}
    scores = {e.eval_id: folder.evaluation(e.eval_id) for e in training.evaluations}
    summary = {name: float(fit[name]) for name in _SUMMARY if name in fit}
    summary |= {name: float(value) for name, value in fit.get("convergence", {}).items()}
    timed = [s["seconds_per_slice"] for s in scores.values() if s is not None]
    if timed:
        summary["evaluation_seconds_per_slice"] = min(timed)
    return TrainingRecord(
        train_id=training.train_id,
        sweep=sweep,
        name=training.config.name(),
        status=_status(folder, scores),
        params=parameters(training.config),
        tags={**_tags(training, fit), **(tags or {})},
        epochs=tuple(epoch_numbers(epoch) for epoch in folder.epochs()),
        summary=summary,
        evaluations={
            e.eval_id: evaluation_settings(e.config)
            for e in training.evaluations
            if scores[e.eval_id] is not None
        },
        rows=tuple(
            row
            for eval_id, scored in scores.items()
            if scored is not None
            for row in _rows(training, eval_id, scored)
        ),
        failure=folder.failure(),
        artifacts=dict(artifacts) if artifacts else None,
    )


def _status(folder: TrainingFolder, scores: Mapping[str, Any]) -> TrialStatus:
    if folder.fit() is not None and all(scored is not None for scored in scores.values()):
        return TrialStatus.COMPLETED
    return TrialStatus.PRUNED if folder.pruned() is not None else TrialStatus.FAILED


def _rows(training: Training, eval_id: str, scored: Mapping[str, Any]) -> list[Row]:
    config = training.config
    return [
        Row(
            train_id=training.train_id,
            eval_id=eval_id,
            method=config.method.key(),
            seed=config.seed,
            source=config.source,
            target=score["domain"],
            case=score["case"],
            patient=score.get("patient") or score["case"],
            structure=score["structure"],
            protocol=score["protocol"],
            metric=metric,
            value=value,
            n_slices=score["n_slices"],
            status="undefined" if math.isnan(value) else "ok",
            diagonal_mm=score.get("diagonal_mm", math.nan),
        )
        for score in scored["scores"]
        for metric, value in score["values"].items()
    ]


def epoch_numbers(epoch: Mapping[str, Any]) -> dict[str, float]:
    """An `EpochRecord`'s numbers, its loss parts as `train_loss/dice`; other keys are left out."""
    parts = epoch.get("train_loss_parts", {})
    flat = {name: float(epoch[name]) for name in _CURVES if name in epoch}
    return {**flat, **{f"train_loss/{part}": float(value) for part, value in parts.items()}}


def training_start(training: Training, sweep: str, tags: Mapping[str, str]) -> TrainingStart:
    """What is known of a training when it begins."""
    return TrainingStart(
        train_id=training.train_id,
        sweep=sweep,
        name=training.config.name(),
        params=parameters(training.config),
        tags={**_tags(training, {}), **tags},
    )


def name_of_sweep(space: str, trainings: Sequence[Training]) -> str:
    """The name under which trainings are tracked: the phantom's are not the real data's."""
    return sweep_name(
        space,
        (training.data.name for training in trainings),
        (t.config.encoder.name for t in trainings if t.config.method.reads_embeddings()),
    )


def _tags(training: Training, fit: Mapping[str, Any]) -> dict[str, str]:
    data, identity = training.data, training.identity
    given = training.config.encoder.checkpoint
    return {
        "train_id": training.train_id,
        "source": training.config.source,
        "seed": str(training.config.seed),
        "code_version": str(identity["code"]),
        "dataset": data.name,
        "dataset_fingerprint": data.fingerprint,
        "encoder": training.config.encoder.name if identity["embedding"] else "",
        "encoder_fingerprint": str(identity["embedding"] or ""),
        "encoder_weights": given.name if given is not None and identity["embedding"] else "",
        "synthetic": "true" if data.is_synthetic else "false",
        "device": str(fit.get("device", "")),
        "remedy": str(fit.get("remedy") or ""),
        **provenance(),
    }


@cache
def provenance() -> dict[str, str]:
    """Versions of what made the numbers, and the git commit where there is one."""
    tags = {"sweeper_version": __version__, "python": platform.python_version()}
    tags |= {f"version.{package}": metadata.version(package) for package in MAIN_PACKAGES}
    tags["git_commit"] = _git_commit()
    return tags


def _git_commit() -> str:
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"
