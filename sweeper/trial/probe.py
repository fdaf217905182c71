"""How fast is a kind of training on this machine? A few batches tell."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from desam_model.evaluate import evaluate
from desam_model.fit import fit
from sweeper.factory import build_method, build_schedule, build_settings
from sweeper.store.dataset_store import DatasetStore
from sweeper.store.embedding_store import EmbeddingStore
from sweeper.trial.cases import Reader, choose_cases, sizes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from desam_model.types import Slice
    from sweeper.config.trial import TrialConfig


def probe(
    config: TrialConfig, dataset: str, embeddings: str | None, batches: int
) -> tuple[float, float, int]:
    """Train and score a few batches, keep nothing: how fast is this kind of training here?

    Returns:
        Seconds a training slice and epoch, seconds a scored slice, peak memory in bytes.
    """
    store = EmbeddingStore.open(embeddings) if embeddings else None
    data = DatasetStore.open(Path(dataset))
    sizes = sizes_of(data, store)
    method = build_method(config, sizes, config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    reader = Reader(data, store, str(config.structure), method.reads)
    cases = choose_cases(config, data)
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
