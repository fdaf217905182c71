"""Estimates the cost of a sweep on this machine, from finished trainings or a short probe."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from sweeper.config.sources import domains_in
from sweeper.plan.identity import canonical_json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sweeper.pipeline.display import Display
    from sweeper.plan.expand import Training
    from sweeper.plan.states import Cell
    from sweeper.store.ledger import Ledger

_PROBE_BATCHES = 5
PROBE_SECONDS = 60.0
"""After this time no further kind is probed, because the user is waiting: probes of eight image
methods on two cores would take ten minutes. The plan then says that their cost is unknown."""
_CHECKPOINT_BYTES_PER_PARAMETER = 5 * 4
"""`best.pt` holds the weights; `last.pt` the weights, the best ones and Adam's two moments; all in
float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The speed of one kind of training on this machine.

    Attributes:
        slice_seconds: Time of an epoch divided by the slices of the source, including validation.
        scored_slice_seconds: Time to score one slice.
        peak_bytes: Peak device memory (CUDA) or anonymous process memory (CPU).
        parameters: Number of trainable parameters, which determines the size of a checkpoint.
        origin: `measured` on finished trainings, or `probe`.
    """

    slice_seconds: float
    scored_slice_seconds: float
    peak_bytes: float
    parameters: int
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The estimated cost of the missing trainings.

    Attributes:
        training_seconds: Sum over trainings, as if they ran one after the other.
        peak_bytes: Peak memory of the training that needs most.
        checkpoint_bytes: Size of their checkpoints: selected weights and the state for a resume.
        unknown: Number of trainings of a kind whose pace is unknown.
        origins: Origins of the paces.
    """

    training_seconds: float
    peak_bytes: float
    checkpoint_bytes: int
    unknown: int
    origins: tuple[str, ...]


def kind(training: Training) -> str:
    """Key of trainings with the same speed: same method, batch size, precision and embeddings.

    Fractional options, such as a loss weight, change the result but not the time.
    """
    config = training.config
    encoder = config.encoder if config.method.reads_embeddings() else None
    pool = {} if encoder is None or encoder.pool == 1 else {"pool": encoder.pool}
    return canonical_json(
        {
            "method": _without_fractions(config.method.model_dump(mode="json")),
            "batch": config.training.batch_size,
            "precision": config.training.precision,
            "encoder": None if encoder is None else encoder.name,
            **pool,
        }
    )


def _without_fractions(values: dict[str, Any]) -> dict[str, Any]:
    nested = {k: _without_fractions(v) if isinstance(v, dict) else v for k, v in values.items()}
    return {k: v for k, v in nested.items() if not isinstance(v, float) and v not in ({}, None)}


def measured_paces(trainings: Iterable[Training], ledger: Ledger) -> dict[str, Pace]:
    """The pace of each kind with a finished training in this workspace."""
    # one pace per finished training
    paces_of: dict[str, list[Pace]] = {}
    for training in trainings:
        folder = ledger.folder(training.train_id)
        fit = folder.fit()
        if fit is None:
            continue
        work = training.n_source_slices * len(fit["epochs"])
        # also those of other plans: a plan's own may all be still to come
        scored = [folder.evaluation(eval_id) for eval_id in folder.evaluations()]
        seconds = [s["seconds_per_slice"] for s in scored if s is not None]
        paces_of.setdefault(kind(training), []).append(
            Pace(
                slice_seconds=fit["seconds"] / max(work, 1),
                scored_slice_seconds=median(seconds) if seconds else 0.0,
                peak_bytes=fit["peak_memory_bytes"],
                parameters=fit["trainable_parameters"],
                origin="measured",
            )
        )
    # one pace per kind
    return {
        key: Pace(
            slice_seconds=median(p.slice_seconds for p in paces),
            scored_slice_seconds=median(p.scored_slice_seconds for p in paces),
            peak_bytes=max(p.peak_bytes for p in paces),
            parameters=max(p.parameters for p in paces),
            origin="measured",
        )
        for key, paces in paces_of.items()
    }


def probed_paces(
    trainings: Sequence[Training],
    display: Display,
    threads: int,
    budget_s: float = PROBE_SECONDS,
) -> dict[str, Pace]:
    """The pace of each kind, measured now by training and scoring a few batches.

    Args:
        trainings: Trainings of unmeasured kinds.
        display: Shows the progress.
        threads: CPU threads of a training.
        budget_s: No probe starts after this many seconds.
    """
    paces: dict[str, Pace] = {}
    kinds = {kind(training): training for training in trainings}
    started = time.monotonic()
    for i, (key, training) in enumerate(kinds.items()):
        if time.monotonic() - started >= budget_s:
            break
        display.advance(i, len(kinds), "kinds of training probed")
        paces[key] = _probe(training, threads)
    return paces


def _probe(training: Training, threads: int) -> Pace:
    from sweeper.trial.probe import (
        probe,  # imports torch, which only a plan with a probe needs
    )

    seconds, scored_seconds, peak, parameters = probe(
        training.config, training.data.path, training.data.embeddings, _PROBE_BATCHES, threads
    )
    return Pace(
        slice_seconds=seconds,
        scored_slice_seconds=scored_seconds,
        peak_bytes=peak,
        parameters=parameters,
        origin="probe",
    )


def estimate(
    cells: Iterable[Cell],
    paces: Mapping[str, Pace],
    done_epochs: Mapping[str, int] | None = None,
) -> Estimate:
    """The cost of the missing parts of the cells, from the paces of their kinds.

    Args:
        cells: The cells.
        paces: Pace by kind.
        done_epochs: Train id -> epochs that it continues from.
    """
    seconds, peak, checkpoints, unknown = 0.0, 0.0, 0, 0
    origins: set[str] = set()
    for cell in cells:
        pace = paces.get(kind(cell.training))
        if pace is None:
            unknown += 1
            continue
        origins.add(pace.origin)
        peak = max(peak, pace.peak_bytes)
        seconds += pace.scored_slice_seconds * _scored_slices(cell.training, cell.missing)
        if not cell.is_trained:
            epochs = cell.training.config.training.epochs
            epochs -= (done_epochs or {}).get(cell.training.train_id, 0)
            checkpoints += pace.parameters * _CHECKPOINT_BYTES_PER_PARAMETER
            seconds += epochs * cell.training.n_source_slices * pace.slice_seconds
    return Estimate(
        training_seconds=seconds,
        peak_bytes=peak,
        checkpoint_bytes=checkpoints,
        unknown=unknown,
        origins=tuple(sorted(origins)),
    )


def wall_seconds(total: float, workers: int, trainings: int) -> float:
    """Wall time of concurrent trainings, at least that of a single one."""
    if not trainings:
        return 0.0
    return max(total / workers, total / trainings) if workers else math.inf


def _scored_slices(training: Training, eval_ids: Collection[str]) -> int:
    """Slices that some scorings of a training predict, in sum."""
    total = 0
    for evaluation in training.evaluations:
        if evaluation.eval_id in eval_ids:
            config, data = evaluation.config, training.data
            slices = data.scan_slices if config.evaluation.whole_scan else data.slices
            targets = (
                [config.target] if config.target else set(slices) - set(domains_in(config.source))
            )
            total += sum(slices[domain] for domain in targets)
    return total
