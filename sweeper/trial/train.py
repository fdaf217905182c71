"""Fits a job's method on its source's cases and records the fit."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import torch

from desam_model.training.fit import fit
from sweeper.factory import build_schedule
from sweeper.trial.cases import observed_batches
from sweeper.trial.convergence import measure

if TYPE_CHECKING:
    from collections.abc import Callable

    from desam_model.method import SegmentationMethod
    from desam_model.types import Decision, EpochRecord
    from sweeper.factory import Sizes
    from sweeper.plan.job import TrainingJob
    from sweeper.store.ledger import TrainingFolder
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
    result = fit(
        method,
        train_slices,
        reader(cases.validation),
        build_schedule(job.config, sizes),
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
