"""One training from config to result: no Ray, no MLflow."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from desam_model.scoring.evaluate import evaluate
from desam_model.training.process_memory import return_free_memory
from desam_model.training.state import load_weights
from desam_model.types import Decision, EpochRecord, Reads, Split
from sweeper.config.sources import domains_in
from sweeper.errors import DataError
from sweeper.factory import build_method
from sweeper.records import in_domain_test
from sweeper.store.dataset.store import DatasetStore
from sweeper.store.embeddings.store import EmbeddingStore
from sweeper.store.ledger import TrainingFolder
from sweeper.trial.bits import machine
from sweeper.trial.cases import Cases, Reader, choose_cases, observed_batches, sizes_of
from sweeper.trial.probe import probe
from sweeper.trial.same_code import require_same_code
from sweeper.trial.scoring_settings import build_settings
from sweeper.trial.train import train

if TYPE_CHECKING:
    from desam_model.method import SegmentationMethod
    from sweeper.config.trial import TrialConfig
    from sweeper.plan.job import TrainingJob
    from sweeper.store.dataset.store import CaseRecord

__all__ = ["OnEpoch", "probe", "run_trial"]

OnEpoch = Callable[[EpochRecord], Decision]


def run_trial(
    job: TrainingJob, on_epoch: OnEpoch, on_progress: Callable[[], None] = lambda: None
) -> bool:
    """Train what is not trained, score what is not scored; everything lands in the job's folder.

    The target domains' slices are opened only after the checkpoint has been chosen.

    Args:
        job: What to do.
        on_epoch: Told of every epoch; may stop the training, which is then not scored.
        on_progress: Called whenever something has been loaded, trained on, predicted or scored.

    Returns:
        True if the training ran to its end and is scored, False if it was stopped.

    Raises:
        CodeChangedError: This process has other code than the job's identity names.
    """
    try:
        return _train_and_score(job, on_epoch, on_progress)
    finally:
        return_free_memory()


def _train_and_score(job: TrainingJob, on_epoch: OnEpoch, on_progress: Callable[[], None]) -> bool:
    folder = TrainingFolder(Path(job.folder))
    require_same_code(job)
    torch.set_num_threads(job.threads)
    folder.write("config", _description(job))
    dataset = DatasetStore.open(Path(job.dataset))
    embeddings = EmbeddingStore.open(job.embeddings) if job.embeddings else None
    background = EmbeddingStore.open(job.background) if job.background else None
    sizes = sizes_of(dataset, embeddings)
    checkpoint = Path(job.checkpoint) if job.checkpoint else None
    method = build_method(job.config, sizes, job.config.seed, checkpoint)
    if Reads.EMBEDDING in method.reads and embeddings is None:
        raise DataError(f"{job.config.name()} reads embeddings, and the job names no store")
    reader = Reader(dataset, embeddings, str(job.config.structure), method.reads, background)
    cases = choose_cases(job.config, dataset)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    method.to(device)
    if folder.fit() is None:
        folder.add_machine(machine(device))
        if not train(job, folder, method, sizes, reader, cases, device, on_epoch, on_progress):
            return False
    else:
        method.load_state_dict(load_weights(folder.path / "best.pt"))
    for eval_id, config in job.evaluations.items():
        if not folder.has_evaluation(eval_id):
            batch = max(1, config.training.batch_size // job.config.training.accumulate)
            _score(folder, eval_id, config, batch, method, reader, cases, device, on_progress)
    return True


def _description(job: TrainingJob) -> dict[str, Any]:
    return {
        "config": job.config.model_dump(mode="json"),
        "identity": dict(job.identity),
        "name": job.config.name(),
        "train_id": job.train_id,
    }


def _score(
    folder: TrainingFolder,
    eval_id: str,
    config: TrialConfig,
    batch_size: int,
    method: SegmentationMethod,
    reader: Reader,
    cases: Cases,
    device: torch.device,
    on_progress: Callable[[], None],
) -> None:
    """One evaluation, its masks first, its scores last: a score without masks cannot be."""
    started = time.perf_counter()
    settings = build_settings(config.evaluation)
    view = reader(cases.scored)
    batches = partial(observed_batches, on_progress, batch_size=batch_size, device=device)
    others = reader.others(cases.scored) if config.evaluation.whole_scan else None
    result = evaluate(method, view, settings, batches, others, on_progress)
    records = {case: reader.dataset.case(case) for case in cases.scored}
    target = folder.evaluation_folder(eval_id)
    target.mkdir(parents=True, exist_ok=True)
    _save_masks(target / "masks.npz", {p.case: p.mask for p in result.predictions})
    if others is not None:
        scans = {p.case: p.scan for p in result.predictions if p.scan is not None}
        _save_masks(target / "scan_masks.npz", scans)
    seconds = time.perf_counter() - started
    folder.write(
        f"evaluations/{eval_id}/scores",
        {
            "settings": config.evaluation.model_dump(mode="json"),
            "target": config.target,
            "machine": dict(machine(device)),
            "scores": [
                {
                    **asdict(score),
                    "domain": _target(records[score.case], config),
                    "patient": records[score.case].patient,
                    "diagonal_mm": records[score.case].diagonal_mm,
                }
                for score in result.scores
            ],
            "n_slices": len(view),
            "n_empty_slices": sum(_n_empty(p.mask) for p in result.predictions),
            "seconds": seconds,
            "seconds_per_slice": seconds / max(len(view) + len(others or ()), 1),
        },
    )


def _target(case: CaseRecord, config: TrialConfig) -> str:
    """Domain of a scored case, or the name of its domain's in-domain test."""
    is_source = case.domain in domains_in(config.source, (case.domain,))
    return in_domain_test(case.domain) if is_source and case.split is Split.TEST else case.domain


def _n_empty(mask: np.ndarray) -> int:
    """Slices of `(n, H, W)` without any foreground."""
    return int((~mask.any(axis=(1, 2))).sum())


def _save_masks(path: Path, masks: Mapping[str, np.ndarray]) -> None:
    """One bit a pixel, by case: `(n, H, W)` packed along W."""
    packed: dict[str, Any] = {case: np.packbits(mask, axis=-1) for case, mask in masks.items()}
    temporary = path.with_name(f".{path.name}")
    try:
        with temporary.open("wb") as file:
            np.savez_compressed(file, **packed)
        temporary.replace(path)
    except OSError:  # a full disk: leave nothing half written behind
        temporary.unlink(missing_ok=True)
        raise
