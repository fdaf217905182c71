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
"""In the words that stand beside the selected weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A training schedule; defaults are DeSAM's released values (sources.md S19).

    Attributes:
        epochs: Passes over the training slices.
        batch_size: Slices an optimiser step sees; the last, smaller batch is kept.
        optimizer: `adam`, `adamw` or `sgd`.
        lr: Learning rate of the first epoch.
        weight_decay: Of the optimiser.
        betas: Of Adam and AdamW.
        momentum: Of SGD (released: 0.99).
        nesterov: SGD looks ahead by its momentum.
        lr_decay: `poly` (lr (1 - e/E)**poly_power), `linear` (lr (1 - e/E)) or `constant`.
        poly_power: 0.9.
        constant_epochs: First epochs at the full rate; the decay takes the rest.
        selection: Whose weights are kept: of the lowest source-validation loss, of the lowest
            training loss, or of the last epoch.
        precision: Arithmetic of forward and backward (autocast); weights stay float32.
        accumulate: Parts that a batch is split into to save memory. The weights after a step equal
            the unsplit step's up to rounding, for methods whose loss is a mean over slices.
        channels_last: Keep convolution weights and maps in channels-last order.
        compile: Run the method's parts through `torch.compile`.
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
        """Refuse what cannot be trained.

        Raises:
            ValueError: A count is below 1, or the learning rate is not positive.
        """
        for name in ("epochs", "batch_size", "accumulate"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 1")
        if not self.lr > 0:
            raise ValueError(f"lr is {self.lr}, expected a positive number")

    def lr_at(self, epoch: int) -> float:
        """Learning rate of a 0-based epoch; positive in every one of them."""
        if self.lr_decay == "constant" or epoch < self.constant_epochs:
            return self.lr
        left = 1.0 - (epoch - self.constant_epochs) / (self.epochs - self.constant_epochs)
        power: float = self.poly_power if self.lr_decay == "poly" else 1.0
        return float(self.lr * left**power)

    def selects(
        self, before: Sequence[EpochRecord], train_loss: float, validation_loss: float
    ) -> bool:
        """True if an epoch with these losses is the one to keep, after those before it."""
        match self.selection:
            case "last":
                return True
            case "training":
                return train_loss < min((e.train_loss for e in before), default=math.inf)
        return validation_loss < min((e.validation_loss for e in before), default=math.inf)

    def autocast_dtype(self) -> torch.dtype | None:
        """The lower precision to compute in, or None for float32."""
        return {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[self.precision]


def build_optimizer(
    parameters: Iterable[nn.Parameter], schedule: Schedule
) -> torch.optim.Optimizer:
    """The schedule's optimiser over the parameters, at the first epoch's learning rate."""
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
    """What a checkpoint must agree with to be gone on from: all but what changes no result."""
    values = asdict(schedule)
    for free in ("accumulate", "channels_last", "compile"):
        values.pop(free)
    return values | {"betas": list(schedule.betas)}
