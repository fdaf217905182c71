"""Trainings in several stretches: values that change on the way, pauses that a search asks for."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from desam_model.training.fit import fit
from desam_model.training.state import LAST
from sweeper.factory import build_method, build_schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from desam_model.method import SegmentationMethod
    from desam_model.types import Decision, EpochRecord, FitResult, Slice
    from sweeper.factory import Sizes
    from sweeper.plan.job import TrainingJob

_SNAPSHOTS = 2
"""Pauses of which the state is kept: others of a population may still have to start from the last
but one."""


def fit_stretches(
    job: TrainingJob,
    method: SegmentationMethod,
    sizes: Sizes,
    views: tuple[Sequence[Slice], Sequence[Slice]],
    device: torch.device,
    on_epoch: Callable[[EpochRecord], Decision],
) -> FitResult:
    """Train one stretch after the other, up to the job's pause or the training's end.

    Args:
        job: What to train; its folder holds what is trained already.
        method: Holds the selected weights on return.
        sizes: Of what it reads.
        views: Training and validation slices.
        device: Where to train.
        on_epoch: Told of every epoch.
    """
    folder, config = Path(job.folder), job.config
    epochs = config.training.epochs
    last = min(job.until or epochs, epochs)
    _adopt(job, folder)
    parts = config.stretches() if config.training.changes else [(epochs, config)]
    checkpoint = Path(job.checkpoint) if job.checkpoint else None
    for end, values in parts:
        # what changes may be an attribute of the method, such as a loss's weight
        part = method if len(parts) == 1 else build_method(values, sizes, config.seed, checkpoint)
        result = fit(
            part,
            *views,
            build_schedule(values, sizes),
            seed=config.seed,
            device=device,
            on_epoch=on_epoch,
            checkpoint_dir=folder,
            until=min(end, last),
            resume_from_other_schedule=len(parts) > 1,
        )
        if end >= last or result.stopped_early:
            break
    if part is not method:
        method.load_state_dict(part.state_dict())
    if len(result.epochs) < epochs and not result.stopped_early:
        _keep_snapshot(folder, len(result.epochs))
    return result


def snapshot(folder: Path, epochs: int) -> Path:
    """Where the state after so many epochs is kept at a pause."""
    return folder / f"at-{epochs:05d}.pt"


def _adopt(job: TrainingJob, folder: Path) -> None:
    """Go on from another training's pause; where its state is gone, all is trained from the start.

    Both ways lead to the same weights: the other's values are among this training's changes.
    """
    if job.start_from is None or (folder / LAST).exists():
        return
    place, _, epochs = job.start_from.rpartition("@")
    source = snapshot(Path(place), int(epochs))
    if source.exists():
        temporary = folder / f".adopted.{os.getpid()}"
        shutil.copyfile(source, temporary)
        temporary.replace(folder / LAST)


def _keep_snapshot(folder: Path, epochs: int) -> None:
    """Keep the state of this pause, and drop those that nobody can start from any more."""
    target = snapshot(folder, epochs)
    target.unlink(missing_ok=True)
    shutil.copyfile(folder / LAST, target)
    for old in sorted(folder.glob("at-*.pt"))[:-_SNAPSHOTS]:
        old.unlink(missing_ok=True)
