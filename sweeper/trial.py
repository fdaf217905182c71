"""One training from config to result: no Ray, no MLflow."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from desam_model.evaluate import evaluate
from desam_model.fit import fit
from desam_model.folds import folds
from desam_model.training_state import load_weights
from desam_model.types import Decision, EpochRecord, Reads, Split
from sweeper.errors import DataError
from sweeper.factory import Sizes, build_method, build_schedule, build_settings
from sweeper.store.dataset_store import DatasetStore
from sweeper.store.embedding_store import EmbeddingStore
from sweeper.store.ledger import TrainingFolder
from sweeper.store.views import slice_view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from desam_model.evaluate import Evaluation
    from desam_model.method import SegmentationMethod
    from desam_model.types import Slice
    from sweeper.config.trial import TrialConfig
    from sweeper.plan.job import TrainingJob

OnEpoch = Callable[[EpochRecord], Decision]


@dataclass(frozen=True, slots=True)
class _Cases:
    """Case ids of a training: what it may see, and what it is scored on."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    scored: tuple[str, ...]


def run_trial(job: TrainingJob, on_epoch: OnEpoch) -> bool:
    """Train what is not trained, score what is not scored; everything lands in the job's folder.

    The target domains' slices are opened only after the checkpoint has been chosen.

    Args:
        job: What to do.
        on_epoch: Told of every epoch; may stop the training, which is then not scored.

    Returns:
        True if the training ran to its end and is scored, False if it was stopped.
    """
    torch.set_num_threads(job.threads)
    folder = TrainingFolder(Path(job.folder))
    folder.write("config", _description(job))
    dataset = DatasetStore.open(Path(job.dataset))
    embeddings = EmbeddingStore.open(job.embeddings) if job.embeddings else None
    sizes = _sizes(dataset, embeddings)
    checkpoint = Path(job.checkpoint) if job.checkpoint else None
    method = build_method(job.config, sizes, job.config.seed, checkpoint)
    if Reads.EMBEDDING in method.reads and embeddings is None:
        raise DataError(f"{job.config.name()} reads embeddings, and the job names no store")
    reader = _Reader(dataset, embeddings, str(job.config.structure), method.reads)
    cases = _choose_cases(job.config, dataset)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    method.to(device)
    if folder.fit() is None:
        if not _train(job, folder, method, sizes, reader, cases, device, on_epoch):
            return False
    else:
        method.load_state_dict(load_weights(folder.path / "best.pt"))
    for eval_id, config in job.evaluations.items():
        if not folder.has_evaluation(eval_id):
            _score(folder, eval_id, config, method, reader, cases, device)
    return True


def _sizes(dataset: DatasetStore, embeddings: EmbeddingStore | None) -> Sizes:
    """The sizes of opened stores; those of embeddings stay 0 where none are read."""
    if embeddings is None:
        return Sizes(image_channels=dataset.image_channels)
    return Sizes(
        image_channels=dataset.image_channels,
        tap_channels=embeddings.tap_channels,
        num_taps=embeddings.num_taps,
        neck_channels=embeddings.neck_channels,
        grid_hw=embeddings.grid_hw,
        input_px=embeddings.input_px,
    )


def _description(job: TrainingJob) -> dict[str, Any]:
    return {
        "config": job.config.model_dump(mode="json"),
        "identity": dict(job.identity),
        "name": job.config.name(),
        "train_id": job.train_id,
    }


@dataclass(frozen=True, slots=True)
class _Reader:
    """Slices of named cases, as the method wants them."""

    dataset: DatasetStore
    embeddings: EmbeddingStore | None
    structure: str
    reads: frozenset[Reads]

    def __call__(self, cases: Sequence[str]) -> Sequence[Slice]:
        return slice_view(
            self.dataset,
            cases,
            structure=self.structure,
            reads=self.reads,
            embeddings=self.embeddings if Reads.EMBEDDING in self.reads else None,
        )


def _choose_cases(config: TrialConfig, dataset: DatasetStore) -> _Cases:
    """The source's split; targets are all other domains, or the held-out fold."""
    sources = dataset.domains if config.source == "all" else (config.source,)
    if config.fold is not None:
        return _fold_cases(config, dataset, sources)
    train = [c.case for d in sources for c in dataset.cases_of(d, Split.TRAIN)]
    validation = [c.case for d in sources for c in dataset.cases_of(d, Split.VALIDATION)]
    targets = (config.target,) if config.target else dataset.domains
    scored = [c.case for d in targets if d not in sources for c in dataset.cases_of(d)]
    return _Cases(tuple(train), tuple(validation), (*validation, *scored))


def _fold_cases(config: TrialConfig, dataset: DatasetStore, sources: Sequence[str]) -> _Cases:
    """Cross-validation: the fold is scored, the last case a domain of the rest validates."""
    train: list[str] = []
    validation: list[str] = []
    held_out: list[str] = []
    n_folds = getattr(config.method, "folds", None)
    if n_folds is None or config.fold is None:
        raise DataError(f"{config.name()} has a fold, and its method knows no folds")
    for domain in sources:
        ids = [c.case for c in dataset.cases_of(domain)]
        rest, test = folds(ids, n_folds, seed=0)[config.fold]
        train += rest[:-1]
        validation += rest[-1:]
        held_out += test
    return _Cases(tuple(train), tuple(validation), tuple(held_out))


def _train(
    job: TrainingJob,
    folder: TrainingFolder,
    method: SegmentationMethod,
    sizes: Sizes,
    reader: _Reader,
    cases: _Cases,
    device: torch.device,
    on_epoch: OnEpoch,
) -> bool:
    """Fit and record; False if it was stopped before its end."""

    def renew_and_report(record: EpochRecord) -> Decision:
        folder.renew_lease(job.owner)
        return on_epoch(record)

    result = fit(
        method,
        reader(cases.train),
        reader(cases.validation),
        build_schedule(job.config, sizes),
        seed=job.config.seed,
        device=device,
        on_epoch=renew_and_report,
        checkpoint_dir=folder.path,
    )
    if result.stopped_early:
        folder.write("pruned", {"epoch": result.epochs[-1].epoch})
        return False
    folder.write(
        "fit",
        {
            **{k: v for k, v in asdict(result).items() if k != "epochs"},
            "epochs": [asdict(epoch) for epoch in result.epochs],
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            "n_train_slices": len(reader(cases.train)),
            "train_cases": list(cases.train),
            "validation_cases": list(cases.validation),
        },
    )
    return True


def _score(
    folder: TrainingFolder,
    eval_id: str,
    config: TrialConfig,
    method: SegmentationMethod,
    reader: _Reader,
    cases: _Cases,
    device: torch.device,
) -> None:
    """One evaluation, its masks first, its scores last: a score without masks cannot be."""
    started = time.perf_counter()
    settings = build_settings(config.evaluation)
    view = reader(cases.scored)
    result = evaluate(method, view, settings, batch_size=config.training.batch_size, device=device)
    target = folder.evaluation_folder(eval_id)
    target.mkdir(parents=True, exist_ok=True)
    _save_masks(target / "masks.npz", result)
    seconds = time.perf_counter() - started
    folder.write(
        f"evaluations/{eval_id}/scores",
        {
            "settings": config.evaluation.model_dump(mode="json"),
            "target": config.target,
            "scores": [asdict(score) for score in result.scores],
            "seconds": seconds,
            "seconds_per_slice": seconds / max(len(view), 1),
        },
    )


def _save_masks(path: Path, result: Evaluation) -> None:
    """One bit a pixel, by case: `(n, H, W)` packed along W."""
    packed: dict[str, Any] = {p.case: np.packbits(p.mask, axis=-1) for p in result.predictions}
    temporary = path.with_name(".masks.npz")
    with temporary.open("wb") as file:
        np.savez_compressed(file, **packed)
    temporary.replace(path)


def probe(
    config: TrialConfig, dataset: str, embeddings: str | None, batches: int
) -> tuple[float, float, int]:
    """Train and score a few batches, keep nothing: how fast is this kind of training here?

    Returns:
        Seconds a training slice and epoch, seconds a scored slice, peak memory in bytes.
    """
    store = EmbeddingStore.open(embeddings) if embeddings else None
    data = DatasetStore.open(Path(dataset))
    sizes = _sizes(data, store)
    method = build_method(config, sizes, config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    reader = _Reader(data, store, str(config.structure), method.reads)
    cases = _choose_cases(config, data)
    count = batches * config.training.batch_size
    train = _first(reader(cases.train), count)
    schedule = replace(build_schedule(config, sizes), epochs=2)  # the first epoch warms up
    result = fit(
        method,
        train,
        _first(reader(cases.validation), count),
        schedule,
        seed=config.seed,
        device=device,
    )
    scored = reader(cases.validation)
    started = time.perf_counter()
    evaluate(
        method,
        scored,
        build_settings(config.evaluation),
        batch_size=config.training.batch_size,
        device=device,
    )
    seconds = time.perf_counter() - started
    return (
        result.epochs[-1].seconds / len(train),
        seconds / max(len(scored), 1),
        result.peak_memory_bytes,
    )


def _first(slices: Sequence[Slice], count: int) -> list[Slice]:
    return [slices[i] for i in range(min(count, len(slices)))]
