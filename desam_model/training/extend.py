"""Continues a finished training for more epochs, where that gives the same bits as a new one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from desam_model.training.schedule import schedule_identity
from desam_model.training.state import load_state, save_state

if TYPE_CHECKING:
    from pathlib import Path

    from desam_model.training.schedule import Schedule


def extend(source: Path, epochs: int, target: Path, schedule: Schedule, *, seed: int) -> None:
    """Write the state of a finished training as that of a longer one, which `fit` then resumes.

    Everything that an epoch depends on is its number, the seed and the state before it, so the
    longer training is bit-identical to one from the start if the epochs of the shorter one had the
    rates of the longer one.

    Args:
        source: Folder of the shorter training, with its `last.pt`.
        epochs: Its epochs.
        target: Folder of the longer training.
        schedule: Schedule of the longer training; that of the shorter differs in the epochs only.
        seed: Seed of both.

    Raises:
        ValueError: The epochs that are done would have had other rates, or the state is missing,
            damaged, unfinished, or of another training.
    """
    shorter = replace(schedule, epochs=epochs)
    if epochs >= schedule.epochs:
        raise ValueError(f"{source} has {epochs} epochs, not fewer than {schedule.epochs}")
    if any(shorter.lr_at(epoch) != schedule.lr_at(epoch) for epoch in range(epochs)):
        raise ValueError(
            f"lr_decay is {schedule.lr_decay}: the first {epochs} of {schedule.epochs} epochs have"
            f" other learning rates than a training of {epochs}; train from the start"
        )
    state = load_state(source, {"seed": seed, "schedule": schedule_identity(shorter)})
    if state is None or len(state.epochs) != epochs or state.stopped_early:
        raise ValueError(f"{source} has no state after {epochs} epochs; train from the start")
    save_state(state, target, {"seed": seed, "schedule": schedule_identity(schedule)})
