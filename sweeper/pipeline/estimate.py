"""What a sweep will cost on this machine, from finished trainings or a short probe."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from sweeper.plan.identity import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sweeper.pipeline.display import Display
    from sweeper.plan.expand import Training
    from sweeper.plan.states import Cell
    from sweeper.store.ledger import Ledger

_PROBE_BATCHES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast one kind of training goes here.

    Attributes:
        slice_seconds: Training time of one slice in one epoch, its share of validation included.
        scored_slice_seconds: Time to score one slice.
        peak_bytes: Peak device memory (CUDA) or anonymous process memory (CPU).
        origin: `measured` on finished trainings, or `probe`.
    """

    slice_seconds: float
    scored_slice_seconds: float
    peak_bytes: float
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The cost of what is missing.

    Attributes:
        training_seconds: Sum over trainings, as if they ran one by one.
        peak_bytes: Of the hungriest.
        unknown: Trainings of a kind whose pace is not known.
        origins: Where the paces came from.
    """

    training_seconds: float
    peak_bytes: float
    unknown: int
    origins: tuple[str, ...]


def kind(training: Training) -> str:
    """Trainings of one kind go equally fast: same method, batch, precision and embeddings."""
    config = training.config
    return canonical_json(
        {
            "method": config.method.model_dump(mode="json"),
            "batch": config.training.batch_size,
            "precision": config.training.precision,
            "encoder": config.encoder.name if config.method.reads_embeddings() else None,
        }
    )


def measured_paces(trainings: Iterable[Training], ledger: Ledger) -> dict[str, Pace]:
    """The pace of every kind of which a training has finished here."""
    found: dict[str, list[Pace]] = {}
    for training in trainings:
        folder = ledger.folder(training.train_id)
        fit = folder.fit()
        if fit is None:
            continue
        work = fit["n_train_slices"] * training.config.training.epochs
        scored = [folder.evaluation(e.eval_id) for e in training.evaluations]
        seconds = [s["seconds_per_slice"] for s in scored if s is not None]
        found.setdefault(kind(training), []).append(
            Pace(
                slice_seconds=fit["seconds"] / max(work, 1),
                scored_slice_seconds=median(seconds) if seconds else 0.0,
                peak_bytes=fit["peak_memory_bytes"],
                origin="measured",
            )
        )
    return {
        key: Pace(
            slice_seconds=median(p.slice_seconds for p in paces),
            scored_slice_seconds=median(p.scored_slice_seconds for p in paces),
            peak_bytes=max(p.peak_bytes for p in paces),
            origin="measured",
        )
        for key, paces in found.items()
    }


def probed_paces(trainings: Sequence[Training], display: Display) -> dict[str, Pace]:
    """The pace of each kind, from a few batches trained and scored here and now."""
    paces: dict[str, Pace] = {}
    kinds = {kind(training): training for training in trainings}
    for i, (key, training) in enumerate(kinds.items()):
        display.advance(i, len(kinds), "kinds of training probed")
        paces[key] = _probe(training)
    return paces


def _probe(training: Training) -> Pace:
    from sweeper.trial import probe  # imports torch, which a plan without a probe does not need

    seconds, scored_seconds, peak = probe(
        training.config, training.data.path, training.data.embeddings, _PROBE_BATCHES
    )
    return Pace(
        slice_seconds=seconds, scored_slice_seconds=scored_seconds, peak_bytes=peak, origin="probe"
    )


def estimate(cells: Iterable[Cell], paces: dict[str, Pace]) -> Estimate:
    """The cost of what the cells lack, from the paces of their kinds."""
    seconds, peak, unknown = 0.0, 0.0, 0
    origins: set[str] = set()
    for cell in cells:
        pace = paces.get(kind(cell.training))
        if pace is None:
            unknown += 1
            continue
        origins.add(pace.origin)
        peak = max(peak, pace.peak_bytes)
        seconds += len(cell.missing) * pace.scored_slice_seconds * _scored_slices(cell.training)
        if not cell.is_trained:
            epochs = cell.training.config.training.epochs
            seconds += epochs * _source_slices(cell.training) * pace.slice_seconds
    return Estimate(
        training_seconds=seconds, peak_bytes=peak, unknown=unknown, origins=tuple(sorted(origins))
    )


def wall_seconds(total: float, workers: int, trainings: int) -> float:
    """Time on the clock when trainings run side by side, never below that of one of them."""
    if not trainings:
        return 0.0
    return max(total / workers, total / trainings) if workers else math.inf


def _source_slices(training: Training) -> int:
    slices = training.data.slices
    return slices.get(training.config.source, sum(slices.values()))


def _scored_slices(training: Training) -> int:
    slices, config = training.data.slices, training.config
    if config.target is not None:
        return slices[config.target]
    return sum(n for domain, n in slices.items() if domain != config.source)
