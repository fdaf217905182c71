"""The training loop: trains any method and selects weights on the source's validation slices."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch

from desam_model.slices import ReadOnce, Reordered
from desam_model.training.compiled import compile_parts
from desam_model.training.epoch import derived_seed, mean_case_dice, split_batch
from desam_model.training.loader import Loader
from desam_model.training.memory import PeakMemory
from desam_model.training.schedule import (
    SELECTION_RULES,
    Schedule,
    build_optimizer,
    schedule_identity,
)
from desam_model.training.state import (
    TrainingState,
    copied_weights,
    load_state,
    save_selection,
    save_state,
)
from desam_model.types import Decision, EpochRecord, FitResult, PredictionSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import numpy as np

    from desam_model.method import SegmentationMethod
    from desam_model.types import Batch, Slice

__all__ = ["NonFiniteLossError", "Schedule", "fit"]

CHECKPOINT_EVERY_S = 10.0
"""`last.pt` is written after an epoch if the previous one is older than this. A crash costs at most
one epoch, or this many seconds if epochs are shorter."""

FP16_INITIAL_SCALE = 2.0**12
"""Initial loss scale in fp16. With torch's default 2**16 the gradient of 10 x MSE overflows fp16
(65,504), and the first steps of every training are skipped. The scaler raises it later, so small
gradients do not underflow."""

VALIDATION_SETTINGS = PredictionSettings(grid_size=2, iou_threshold=-math.inf)
"""Settings of the masks for `source_dice`; they belong to the training and are never searched. Few
prompts keep it fast, and without a threshold it is informative from the first epoch."""


class NonFiniteLossError(ValueError):
    """A loss became inf or nan.

    Attributes:
        epoch: 0-based epoch.
        step: 0-based optimiser step of the epoch, or -1 in validation.
        cases: Case ids of the batch's slices.
    """

    def __init__(self, epoch: int, step: int, cases: tuple[str, ...], value: float) -> None:
        self.epoch, self.step, self.cases = epoch, step, cases
        where = "validation" if step < 0 else f"step {step}"
        super().__init__(
            f"the loss is {value} in epoch {epoch}, {where}, cases {', '.join(sorted(set(cases)))};"
            " lower the learning rate, or train in float32"
        )


def fit(
    method: SegmentationMethod,
    train: Sequence[Slice],
    validation: Sequence[Slice],
    schedule: Schedule,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    on_epoch: Callable[[EpochRecord], Decision] = lambda _: Decision.CONTINUE,
    on_batch: Callable[[], None] = lambda: None,
    checkpoint_dir: Path | None = None,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
) -> FitResult:
    """Train a method; on return it holds the weights that the schedule's `selection` chose.

    The same inputs and seed give bit-identical weights on a CPU, also after a crash and a resume:
    each epoch seeds all random generators from (seed, epoch).

    Args:
        method: Changed in place and moved to `device`.
        train: Slices of the source's training cases.
        validation: Slices of the source's validation cases.
        schedule: How to train.
        seed: Fixes the order of the slices and all random numbers of the method.
        device: Where to train.
        on_epoch: Called after each epoch with its results; returns CONTINUE or STOP. A resumed
            training first repeats the epochs in its checkpoint, and ignores the answers to these.
        on_batch: Called after each batch, of training and of validation.
        checkpoint_dir: Folder of `last.pt`, `best.pt` and `selection.json`; an unfinished training
            in it is resumed. None writes no files.
        checkpoint_every_s: See `CHECKPOINT_EVERY_S`.

    Raises:
        NonFiniteLossError: The loss is inf or nan.
        ValueError: There are no training or validation slices, or the checkpoint belongs to
            another training.
    """
    if not len(train) or not len(validation):
        raise ValueError(
            f"{len(train)} training and {len(validation)} validation slices; both must be > 0"
        )
    # Dropout and similar layers take no generator; they draw from a forked global state
    with torch.random.fork_rng():
        trainer = _Trainer(method, train, validation, schedule, seed, torch.device(device))
        trainer.on_batch = on_batch
        trainer.resume(checkpoint_dir)
        trainer.run(on_epoch, checkpoint_dir, checkpoint_every_s)
        return trainer.finish(checkpoint_dir)


class _Trainer:
    """One training: the method, its optimiser, and its state so far."""

    def __init__(
        self,
        method: SegmentationMethod,
        train: Sequence[Slice],
        validation: Sequence[Slice],
        schedule: Schedule,
        seed: int,
        device: torch.device,
    ) -> None:
        # model and data
        self.method = method.to(device)
        if schedule.channels_last:
            method.to(memory_format=torch.channels_last)
        if schedule.compile:
            compile_parts(method, device)
        self.train, self.validation = train, ReadOnce(validation)
        self.schedule, self.seed, self.device = schedule, seed, device
        # optimiser and loss scaling
        parameters = method.trainable_parameters()
        self.trainable = sum(parameter.numel() for parameter in parameters)
        self.optimizer = build_optimizer(parameters, schedule)
        self.scaler = torch.amp.GradScaler(
            device.type, init_scale=FP16_INITIAL_SCALE, enabled=schedule.precision == "fp16"
        )
        # bookkeeping
        self.on_batch: Callable[[], None] = lambda: None
        self.memory = PeakMemory(device)
        self.identity = {"seed": seed, "schedule": schedule_identity(schedule)}
        self.state = TrainingState(weights={}, optimizer={})

    def resume(self, folder: Path | None) -> None:
        """Resume from `last.pt`, if there is one."""
        state = None if folder is None else load_state(folder, self.identity)
        if state is None:
            return
        self.state = state
        self.method.load_state_dict(state.weights)
        self.optimizer.load_state_dict(state.optimizer)
        self.scaler.load_state_dict(state.scaler)

    def run(
        self,
        on_epoch: Callable[[EpochRecord], Decision],
        folder: Path | None,
        every_s: float,
    ) -> None:
        """Train the remaining epochs, or until the caller returns STOP."""
        for record in self.state.epochs:
            on_epoch(record)
        saved_at = time.monotonic()
        while len(self.state.epochs) < self.schedule.epochs and not self.state.stopped_early:
            record = self._epoch(len(self.state.epochs))
            is_last = record.epoch + 1 == self.schedule.epochs
            if folder is not None and (is_last or time.monotonic() - saved_at >= every_s):
                self._save(folder)
                saved_at = time.monotonic()
            self.state.stopped_early = on_epoch(record) is Decision.STOP and not is_last

    def finish(self, folder: Path | None) -> FitResult:
        """Load the selected weights into the method, save them, and return the result."""
        state = self.state
        self.method.load_state_dict(state.best_weights)
        self.method.eval()
        if folder is not None:
            save_selection(state, folder, SELECTION_RULES[self.schedule.selection])
        return FitResult(
            epochs=tuple(state.epochs),
            selected_epoch=state.selected_epoch,
            stopped_early=state.stopped_early,
            seconds=state.seconds,
            peak_memory_bytes=state.peak_memory_bytes,
            trainable_parameters=self.trainable,
        )

    def _epoch(self, epoch: int) -> EpochRecord:
        """Train and validate for one epoch; the state is consistent again when it returns."""
        started = time.perf_counter()
        # learning rate of this epoch
        lr = self.schedule.lr_at(epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        # train, then validate on the source domain
        loss, parts = self._train_epoch(epoch)
        validation_loss, source_dice = self._validate(epoch)
        record = EpochRecord(
            epoch=epoch,
            train_loss=loss,
            train_loss_parts=parts,
            validation_loss=validation_loss,
            source_dice=source_dice,
            lr=lr,
            seconds=time.perf_counter() - started,
            is_best=self.schedule.selects(self.state.epochs, loss, validation_loss),
        )
        # keep the best weights
        self.state.epochs.append(record)
        if record.is_best:
            self.state.best_weights = copied_weights(self.method)
        self.state.seconds += record.seconds
        self.state.peak_memory_bytes = max(self.state.peak_memory_bytes, self.memory.bytes())
        return record

    def _train_epoch(self, epoch: int) -> tuple[float, dict[str, float]]:
        """One pass over the training slices; the mean loss and the mean of each of its terms."""
        self.method.train()
        # seed the global state, the method's draws and the order of the slices
        torch.manual_seed(derived_seed(self.seed, epoch, "global"))
        draws = torch.Generator().manual_seed(derived_seed(self.seed, epoch, "draws"))
        shuffle = torch.Generator().manual_seed(derived_seed(self.seed, epoch, "order"))
        order = torch.randperm(len(self.train), generator=shuffle).tolist()
        # one optimiser step per batch; losses are summed per slice
        sums: dict[str, float] = {}
        loader = self._loader(Reordered(self.train, order))
        for step, batch in enumerate(loader):
            losses = self._step(batch, draws)
            if not math.isfinite(losses["total"]):
                first = step * self.schedule.batch_size
                cases = [self.train[i].case for i in order[first : first + len(batch)]]
                raise NonFiniteLossError(epoch, step, tuple(cases), losses["total"])
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value * len(batch)
            self.on_batch()
        means = {name: value / len(self.train) for name, value in sums.items()}
        return means.pop("total"), means

    def _step(self, batch: Batch, draws: torch.Generator) -> dict[str, float]:
        """One optimiser step; returns mean losses. A non-finite loss changes no weight."""
        self.optimizer.zero_grad(set_to_none=True)
        means: dict[str, float] = {}
        for micro_batch in split_batch(batch, self.schedule.accumulate):
            share = len(micro_batch) / len(batch)
            with self._autocast():
                losses = self.method.training_loss(micro_batch, draws)
            self.memory.sample()
            for name, value in {"total": losses.total, **losses.parts}.items():
                means[name] = means.get(name, 0.0) + share * float(value.detach())
            if not math.isfinite(means["total"]):
                return means
            torch.autograd.backward(self.scaler.scale(losses.total * share))
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return means

    @torch.inference_mode()
    def _validate(self, epoch: int) -> tuple[float, float]:
        """Mean validation loss over slices, and mean Dice over cases."""
        self.method.eval()
        losses: list[float] = []
        masks: list[np.ndarray] = []
        for batch in self._loader(self.validation):
            for micro_batch in split_batch(batch, self.schedule.accumulate):
                with self._autocast():
                    slice_losses, mask = self.method.validate(micro_batch, VALIDATION_SETTINGS)
                losses += slice_losses.float().tolist()
                masks += list(mask[:, 0].cpu().numpy())
            self.on_batch()
        loss = sum(losses) / len(losses)
        if not math.isfinite(loss):
            non_finite = [i for i, value in enumerate(losses) if not math.isfinite(value)]
            cases = tuple(self.validation.seen[i].case for i in non_finite)
            raise NonFiniteLossError(epoch, -1, cases, loss)
        return loss, mean_case_dice(masks, self.validation.slices())

    def _loader(self, view: Sequence[Slice]) -> Loader:
        dtype = self.schedule.autocast_dtype() or torch.float32
        return Loader(view, batch_size=self.schedule.batch_size, device=self.device, dtype=dtype)

    def _autocast(self) -> AbstractContextManager[Any]:
        dtype = self.schedule.autocast_dtype()
        return nullcontext() if dtype is None else torch.autocast(self.device.type, dtype)

    def _save(self, folder: Path) -> None:
        self.state.weights = self.method.state_dict()
        self.state.optimizer = self.optimizer.state_dict()
        self.state.scaler = self.scaler.state_dict()
        save_state(self.state, folder, self.identity)
