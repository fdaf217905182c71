"""Measures the speed of a kind of training on this machine, with a few batches."""

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
"""Anonymous memory of Ray and Tune, which a worker imports but a probe does not: 534 MB in a worker
against 455 MB in the probe of the same training."""


def probe(
    config: TrialConfig, dataset: str, embeddings: str | None, batches: int, threads: int
) -> tuple[float, float, int, int]:
    """Train and score a few batches, without writing files, and measure the speed.

    The proportion of training and validation slices is that of the source.

    Args:
        config: A trial of the kind.
        dataset: Path of the dataset store.
        embeddings: URI of the embedding store, or None.
        batches: Batches to train on, for two epochs; the first epoch warms up.
        threads: CPU threads of a training.

    Returns:
        Seconds per source slice and epoch, seconds per scored slice, expected peak memory of a
        worker in bytes, and the number of trainable parameters.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    return_free_memory()  # of a previous import of a dataset, or of the previous probe
    try:
        return _probe(config, dataset, embeddings, batches)
    finally:
        torch.set_num_threads(before)
        return_free_memory()


def _probe(
    config: TrialConfig, dataset: str, embeddings: str | None, batches: int
) -> tuple[float, float, int, int]:
    # build the method and open its data
    store = EmbeddingStore.open(embeddings) if embeddings else None
    data = DatasetStore.open(Path(dataset))
    sizes = sizes_of(data, store)
    method = build_method(config, sizes, config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    reader = Reader(data, store, str(config.structure), method.reads)
    cases = choose_cases(config, data)
    # take a few slices, and train on them for two epochs
    all_train, all_validation = reader(cases.train), reader(cases.validation)
    train = _first(all_train, batches * config.training.batch_size)
    fraction = len(train) / max(len(all_train), 1)
    validation = _first(all_validation, max(1, round(fraction * len(all_validation))))
    schedule = replace(build_schedule(config, sizes), epochs=2)  # the first epoch warms up
    result = fit(
        method,
        train,
        validation,
        schedule,
        seed=config.seed,
        device=device,
    )
    # score the validation slices
    started = time.perf_counter()
    evaluate(
        method,
        validation,
        build_settings(config.evaluation),
        partial(Loader, batch_size=config.training.batch_size, device=device),
    )
    seconds = time.perf_counter() - started
    return (
        result.epochs[-1].seconds / (len(train) + len(validation)),
        seconds / max(len(validation), 1),
        result.peak_memory_bytes + (_TUNE_BYTES if device.type == "cpu" else 0),
        result.trainable_parameters,
    )


def _first(slices: Sequence[Slice], count: int) -> list[Slice]:
    return [slices[i] for i in range(min(count, len(slices)))]
