"""What is done about a training that ran out of memory; never silently, never its effective batch.

First fewer trainings side by side, so that each has more; when one has a device or a machine to
itself, its batches are split and the gradients accumulated. The weights after a step then equal the
unsplit step's up to rounding, for methods whose loss is a mean over slices.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from sweeper.records import FailureReason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweeper.config.trial import TrialConfig
    from sweeper.records import Placement
    from sweeper.store.ledger import TrainingFolder

OUT_OF_MEMORY = frozenset({FailureReason.CUDA_OOM, FailureReason.HOST_OOM})


@dataclass(frozen=True, slots=True, order=True)
class Remedy:
    """How a training is run after it ran out of memory.

    Attributes:
        halvings: How often the number of trainings side by side was halved for it.
        accumulate: Parts that each batch is split into.
        reasons: Failures that led here, oldest first.
    """

    halvings: int = 0
    accumulate: int = 1
    reasons: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """True if anything differs from what was asked for."""
        return bool(self.reasons)

    def text(self, batch_size: int) -> str:
        """For people and for the provenance."""
        done = [f"trainings side by side divided by {2**self.halvings}"] if self.halvings else []
        if self.accumulate > 1:
            done.append(
                f"gradients accumulated over {self.accumulate} parts of a batch of {batch_size}"
            )
        return f"after {', '.join(self.reasons)}: {'; '.join(done)}"

    def values(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return asdict(self)

    @classmethod
    def of(cls, values: Mapping[str, Any] | None) -> Remedy:
        """The remedy that `values` gave; none for None."""
        if values is None:
            return cls()
        return cls(values["halvings"], values["accumulate"], tuple(values["reasons"]))


def next_remedy(
    reason: FailureReason, last: Remedy, placement: Placement, batch_size: int
) -> Remedy | None:
    """What to try after a failure, or None if nothing is left to try.

    Args:
        reason: Why it failed.
        last: How it was run.
        placement: What trainings get that never failed.
        batch_size: Slices a batch.
    """
    if reason not in OUT_OF_MEMORY:
        return None
    reasons = (*last.reasons, reason.value)
    if 2**last.halvings < _side_by_side(reason, placement):
        return replace(last, halvings=last.halvings + 1, reasons=reasons)
    if last.accumulate >= batch_size:
        return None
    parts = min(2 * last.accumulate, batch_size)
    return replace(last, accumulate=parts, reasons=reasons)


def known_remedy(folder: TrainingFolder, config: TrialConfig) -> Remedy:
    """The remedy that a training's folder records, over what its config asks for."""
    known = Remedy.of(folder.remedy())
    return replace(known, accumulate=max(known.accumulate, config.training.accumulate))


def split(remedy: Remedy, config: TrialConfig) -> TrialConfig:
    """The config with its batches in the remedy's parts."""
    if remedy.accumulate <= config.training.accumulate:
        return config
    training = config.training.model_copy(update={"accumulate": remedy.accumulate})
    return config.model_copy(update={"training": training})


def apply(remedy: Remedy, placement: Placement) -> Placement:
    """The placement with fewer trainings side by side: each gets more of the GPU and of memory."""
    if not remedy.halvings:
        return placement
    factor = 2**remedy.halvings
    per_gpu = int(1 / placement.gpu) if 0 < placement.gpu < 1 else 1
    gpu = placement.gpu if per_gpu == 1 else 1 / max(1, per_gpu // factor)
    concurrent = max(1, placement.max_concurrent // factor)
    memory = placement.memory_bytes * placement.max_concurrent // concurrent
    return replace(
        placement, gpu=gpu, max_concurrent=concurrent, memory_bytes=memory, shares_processes=False
    )


def _side_by_side(reason: FailureReason, placement: Placement) -> int:
    """Trainings that share what ran out."""
    if reason is FailureReason.CUDA_OOM:
        return int(1 / placement.gpu) if 0 < placement.gpu < 1 else 1
    return placement.max_concurrent
