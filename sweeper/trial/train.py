"""Fits a job's method on its source's cases and records the fit."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from desam_model.training.extend import extend
from desam_model.training.fit import fit
from sweeper.factory import build_schedule
from sweeper.store.ledger import TrainingFolder
from sweeper.trial.cases import observed_batches
from sweeper.trial.convergence import measure

if TYPE_CHECKING:
    from collections.abc import Callable

    from desam_model.method import SegmentationMethod
    from desam_model.training.schedule import Schedule
    from desam_model.types import Decision, EpochRecord
    from sweeper.factory import Sizes
    from sweeper.plan.job import TrainingJob
    from sweeper.trial.cases import Cases, Reader


def train(
    job: TrainingJob,
    folder: TrainingFolder,
    method: SegmentationMethod,
    sizes: Sizes,
    reader: Reader,
    cases: Cases,
    device: torch.device,
    on_epoch: Callable[[EpochRecord], Decision],
    on_progress: Callable[[], None],
) -> bool:
    """Fit and record; False if it was stopped before its end.

    Args:
        job: What to train.
        folder: The training's folder; a checkpoint in it is resumed from.
        method: Holds the selected weights on return.
        sizes: Of what it reads.
        reader: Makes slices of cases.
        cases: The training's and the validation's.
        device: Where to train.
        on_epoch: Told of every epoch; may stop the training.
        on_progress: Called after each batch.
    """
    train_slices = reader(cases.train)
    schedule = build_schedule(job.config, sizes)
    _continue(job, folder, schedule)
    result = fit(
        method,
        train_slices,
        reader(cases.validation),
        schedule,
        seed=job.config.seed,
        device=device,
        on_epoch=on_epoch,
        on_batch=on_progress,
        checkpoint_dir=folder.path,
    )
    epochs = [asdict(epoch) for epoch in result.epochs]
    if result.stopped_early:
        folder.write("pruned", {"epoch": result.epochs[-1].epoch, "epochs": epochs})
        return False
    losses = [epoch.train_loss for epoch in result.epochs]
    training = job.config.training
    # as large as in a step, which may be split to save memory
    batch_size = max(1, training.batch_size // training.accumulate)
    batches = partial(observed_batches, on_progress, batch_size=batch_size, device=device)
    folder.write(
        "fit",
        {
            **{k: v for k, v in asdict(result).items() if k != "epochs"},
            "epochs": epochs,
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            "n_train_slices": len(train_slices),
            "convergence": asdict(measure(method, train_slices, losses, batches)),
            "remedy": job.remedy,
            "train_cases": list(cases.train),
            "validation_cases": list(cases.validation),
        },
    )
    return True


def _continue(job: TrainingJob, folder: TrainingFolder, schedule: Schedule) -> None:
    """Start from the end of the shorter training that the job names, and record that.

    Where its state cannot be used after all, the training starts anew, with the same result.
    """
    if job.continues is None or folder.has_state():
        return
    shorter = TrainingFolder(Path(job.continues))
    epochs = len(shorter.epochs())
    try:
        extend(shorter.path, epochs, folder.path, schedule, seed=job.config.seed)
    except ValueError as err:
        print(f"not continued from {shorter.train_id}: {err}")  # noqa: T201  # to the log
        return
    for machine in shorter.machines():
        folder.add_machine(machine)
    seconds = float((shorter.fit() or {})["seconds"])
    folder.write("continues", {"train_id": shorter.train_id, "epochs": epochs, "seconds": seconds})
