"""How fast is a kind of training on this machine? A few batches tell."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from desam_model.scoring.evaluate import evaluate
from desam_model.training.fit import fit
from desam_model.training.loader import Loader
from desam_model.training.process_memory import return_free_memory
from sweeper.factory import build_method, build_schedule
from sweeper.store.dataset.store import DatasetStore
from sweeper.store.embeddings.store import EmbeddingStore
from sweeper.trial.cases import Reader, choose_cases, sizes_of
from sweeper.trial.scoring_settings import build_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from desam_model.types import Slice
    from sweeper.config.trial import TrialConfig

_TUNE_BYTES = 79_000_000
"""Anonymous memory of Ray and Tune, which a worker has imported and a probe's process has not: seen
as 534 MB in a worker against 455 MB in the probe of the same training."""


def probe(
    config: TrialConfig, dataset: str, embeddings: str | None, batches: int, threads: int
) -> tuple[float, float, int, int]:
    """Train and score a few batches, keep nothing: how fast is this kind of training here?

    Training and validation slices are taken in the proportion of the source's split.

    Args:
        config: One of the kind.
        dataset: Path of the dataset store.
        embeddings: URI of the embedding store, or None.
        batches: To train on, twice: the first time warms up.
        threads: CPU threads that a training will have.

    Returns:
        Seconds a slice of the source and epoch, seconds a scored slice, peak memory in bytes as a
        worker's training will have it, trainable parameters.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    return_free_memory()  # of the import of a dataset, or of the probe before
    try:
        return _probe(config, dataset, embeddings, batches)
    finally:
        torch.set_num_threads(before)
        return_free_memory()


def _probe(
    config: TrialConfig, dataset: str, embeddings: str | None, batches: int
) -> tuple[float, float, int, int]:
    store = EmbeddingStore.open(embeddings) if embeddings else None
    data = DatasetStore.open(Path(dataset))
    sizes = sizes_of(data, store)
    method = build_method(config, sizes, config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    reader = Reader(data, store, str(config.structure), method.reads)
    cases = choose_cases(config, data)
    every_train, every_validation = reader(cases.train), reader(cases.validation)
    train = _first(every_train, batches * config.training.batch_size)
    share = len(train) / max(len(every_train), 1)
    validation = _first(every_validation, max(1, round(share * len(every_validation))))
    schedule = replace(build_schedule(config, sizes), epochs=2)  # the first epoch warms up
    result = fit(
        method,
        train,
        validation,
        schedule,
        seed=config.seed,
        device=device,
    )
    scored = validation
    started = time.perf_counter()
    evaluate(
        method,
        scored,
        build_settings(config.evaluation),
        partial(Loader, batch_size=config.training.batch_size, device=device),
    )
    seconds = time.perf_counter() - started
    return (
        result.epochs[-1].seconds / (len(train) + len(validation)),
        seconds / max(len(scored), 1),
        result.peak_memory_bytes + (_TUNE_BYTES if device.type == "cpu" else 0),
        result.trainable_parameters,
    )


def _first(slices: Sequence[Slice], count: int) -> list[Slice]:
    return [slices[i] for i in range(min(count, len(slices)))]
