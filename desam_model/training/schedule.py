"""How a method is trained: epochs, optimiser, learning rate, precision."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import nn

    from desam_model.types import EpochRecord


Selection = Literal["validation", "training", "last"]

SELECTION_RULES: dict[str, str] = {
    "validation": "lowest mean validation loss on the source domain",
    "training": "lowest mean training loss",
    "last": "last epoch",
}
"""The text of each rule in `selection.json`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A training schedule; defaults are DeSAM's released values (sources.md S19).

    Attributes:
        epochs: Passes over the training slices.
        batch_size: Slices per optimiser step; a smaller last batch is used too.
        optimizer: `adam`, `adamw` or `sgd`.
        lr: Learning rate of the first epoch.
        weight_decay: Weight decay of the optimiser.
        betas: Betas of Adam and AdamW.
        momentum: Momentum of SGD (released: 0.99).
        nesterov: True for Nesterov momentum in SGD.
        lr_decay: `poly` (lr (1 - e/E)**poly_power), `linear` (lr (1 - e/E)) or `constant`.
        poly_power: Exponent of the `poly` decay.
        constant_epochs: Number of first epochs at the full learning rate, before the decay.
        selection: The epoch whose weights are kept: lowest source-validation loss (`validation`),
            lowest training loss (`training`), or the last epoch (`last`).
        precision: Precision of forward and backward pass (autocast); weights stay float32.
        accumulate: Number of micro-batches per batch, to save memory. The step gives the same
            weights up to rounding for methods whose loss is a mean over slices.
        channels_last: Keep convolution weights and feature maps in channels-last order.
        compile: Compile the method's parts with `torch.compile`.
    """

    epochs: int = 50
    batch_size: int = 8
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = 1e-4
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.99
    nesterov: bool = False
    lr_decay: Literal["poly", "linear", "constant"] = "poly"
    poly_power: float = 0.9
    constant_epochs: int = 0
    selection: Selection = "validation"
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    accumulate: int = 1
    channels_last: bool = False
    compile: bool = False

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: A count is below 1, or the learning rate is not positive.
        """
        for name in ("epochs", "batch_size", "accumulate"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 1")
        if not self.lr > 0:
            raise ValueError(f"lr is {self.lr}, expected a positive number")

    def lr_at(self, epoch: int) -> float:
        """Learning rate of a 0-based epoch; positive in every epoch."""
        if self.lr_decay == "constant" or epoch < self.constant_epochs:
            return self.lr
        remaining = 1.0 - (epoch - self.constant_epochs) / (self.epochs - self.constant_epochs)
        power: float = self.poly_power if self.lr_decay == "poly" else 1.0
        return float(self.lr * remaining**power)

    def selects(
        self, before: Sequence[EpochRecord], train_loss: float, validation_loss: float
    ) -> bool:
        """True if an epoch with these losses is the best so far, given the earlier epochs."""
        match self.selection:
            case "last":
                return True
            case "training":
                return train_loss < min((e.train_loss for e in before), default=math.inf)
        return validation_loss < min((e.validation_loss for e in before), default=math.inf)

    def autocast_dtype(self) -> torch.dtype | None:
        """The autocast precision, or None for float32."""
        return {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[self.precision]


def build_optimizer(
    parameters: Iterable[nn.Parameter], schedule: Schedule
) -> torch.optim.Optimizer:
    """The schedule's optimiser for the parameters, with the learning rate of the first epoch."""
    decay = schedule.weight_decay
    if schedule.optimizer == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=schedule.lr,
            momentum=schedule.momentum,
            weight_decay=decay,
            nesterov=schedule.nesterov and schedule.momentum > 0,
        )
    kind = torch.optim.Adam if schedule.optimizer == "adam" else torch.optim.AdamW
    return kind(parameters, lr=schedule.lr, betas=schedule.betas, weight_decay=decay)


def schedule_identity(schedule: Schedule) -> dict[str, object]:
    """The values that must equal a checkpoint's to resume it: all that can change a result."""
    values = asdict(schedule)
    for neutral in ("accumulate", "channels_last", "compile"):
        values.pop(neutral)
    return values | {"betas": list(schedule.betas)}
