"""One point of a search space: everything that decides one training and its scoring."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import Field, model_validator

from desam_model.encoder.entry import POOLS
from desam_model.encoder.precision import DEFAULT_PRECISION, PRECISIONS
from desam_model.encoder.registry import encoders
from sweeper.config.base import AddedLater, Level, Strict
from sweeper.config.methods import MethodConfig
from sweeper.config.sources import Source

SITES = ("A-ISBI", "B-ISBI_1.5", "C-I2CVB", "D-UCL", "E-BIDMC", "F-HK")
"""The six hospitals in the order of DeSAM's code (sources.md S2); a dataset may have others."""

PHANTOM, ABDOMINAL_PHANTOM = "phantom", "phantom-abdominal"
"""Names of the synthetic datasets, which are made when they are first asked for."""

Beta = Annotated[float, Field(ge=0, lt=1)]

if TYPE_CHECKING:
    EncoderName: TypeAlias = str
    PrecisionName: TypeAlias = str
    PoolSide: TypeAlias = int
else:  # pydantic refuses other names, and the schema lists these
    EncoderName = Literal[tuple(encoders())]
    PrecisionName = Literal[tuple(PRECISIONS)]
    PoolSide = Literal[POOLS]


class EncoderConfig(Strict):
    """The frozen image encoder whose embeddings are computed once."""

    name: EncoderName = Field(
        default="vit_tiny",
        description="vit_tiny is small, random and seeded, for trying out; lite_medsam is the"
        " smallest with trained weights; the paper uses vit_h.",
    )
    checkpoint: Annotated[Path | None, Level.NOTHING] = Field(
        default=None,
        description="The file with its weights; by default it is searched in the workspace's"
        " weights/ folder and in the package of the extra `lite`. Its content, not its place,"
        " enters the identity.",
    )
    precision: PrecisionName = Field(
        default=DEFAULT_PRECISION, description="Precision of the stored embeddings."
    )
    pool: Annotated[PoolSide, AddedLater()] = Field(
        default=1,
        description="Token pooling: means over squares of pool x pool tokens are stored, so that a"
        " grid of 64 becomes 32 or 16, and stores and training steps shrink by its square.",
    )


class TrainingConfig(Strict):
    """How a method is trained; defaults are DeSAM's released values (sources.md S19)."""

    epochs: int = Field(default=50, ge=1, description="Passes over the source's training slices.")
    batch_size: int = Field(default=8, ge=1, description="Slices an optimiser step sees.")
    optimizer: Literal["adam", "adamw", "sgd"] = Field(
        default="adam", description="Released: Adam; SGD with its --sgd (sources.md S19)."
    )
    lr: float | None = Field(
        default=None,
        gt=0,
        description="Learning rate of the first epoch. By default 1e-3 for an image network from"
        " scratch; for a decoder of embeddings the released 1e-4 at SAM's 256 channels of the neck,"
        " in inverse proportion to their number elsewhere: 8e-4 at the 32 of vit_tiny.",
    )
    weight_decay: float = Field(default=0.0, ge=0, description="Of the optimiser (released: 0).")
    momentum: float = Field(default=0.99, ge=0, lt=1, description="Of SGD (released: 0.99).")
    nesterov: Annotated[bool, AddedLater()] = Field(
        default=False, description="Of SGD; the official nnU-Net: true (sources.md S29)."
    )
    betas: Annotated[tuple[Beta, Beta], AddedLater()] = Field(
        default=(0.9, 0.999),
        description="Of Adam and AdamW (released); the official CSDG: 0.5, 0.999 (sources.md S50).",
    )
    lr_decay: Literal["poly", "linear", "constant"] = Field(
        default="poly",
        description="Per epoch. poly (released): lr (1 - epoch/epochs)^poly_power; linear: the same"
        " with power 1.",
    )
    poly_power: Annotated[float, AddedLater()] = Field(
        default=0.9, gt=0, description="Of poly (released: 0.9; nnU-Net: 0.9; sources.md S19, S29)."
    )
    constant_epochs: Annotated[int, AddedLater()] = Field(
        default=0,
        ge=0,
        description="First epochs at the full rate, before the decay; the official CSDG: 50 of 2000"
        " (sources.md S50).",
    )
    selection: Annotated[Literal["validation", "training", "last"], AddedLater()] = Field(
        default="validation",
        description="Which weights are kept: of the lowest loss on the source's validation cases"
        " (DeSAM; sources.md S4), on its training cases (the official MedSAM; sources.md S25), or"
        " of the last epoch (the official CSDG; sources.md S50). No target image plays a part.",
    )
    precision: Literal["float32", "bf16", "fp16"] = Field(
        default="float32", description="Precision of the training arithmetic (autocast)."
    )
    accumulate: Annotated[int, Level.NOTHING] = Field(
        default=1,
        ge=1,
        description="Parts a batch is split into to save memory; the effective batch is the same.",
    )
    channels_last: Annotated[bool, Level.NOTHING] = Field(
        default=False,
        description="Channels-last convolutions: the same numbers up to rounding, faster on GPUs"
        " with tensor cores.",
    )
    compile: Annotated[bool, Level.NOTHING] = Field(
        default=False,
        description="torch.compile for the training steps: the same numbers up to rounding. Without"
        " a compiler on the machine the training says so and continues uncompiled.",
    )


class EvaluationConfig(Strict):
    """What changes only the scoring; one training serves many of these."""

    grid_size: Annotated[int | None, Level.EVALUATION] = Field(
        default=9, ge=1, le=64, description="Points per side of the prompt grid: 9 means 9 x 9."
    )
    iou_threshold: Annotated[float | None, Level.EVALUATION] = Field(
        default=0.5, description="A prompt counts if its predicted IoU is strictly greater."
    )
    min_region_px: Annotated[int, Level.EVALUATION] = Field(
        default=1000,
        ge=0,
        description="Holes and islands below this area (px at 256 x 256) are cleaned up; 0: off.",
    )
    whole_scan: Annotated[bool, Level.EVALUATION, AddedLater()] = Field(
        default=False,
        description="Also predict the slices without a reference, for protocol volume; their"
        " embeddings are made when a space asks for this.",
    )


class TrialConfig(Strict):
    """One training and its scoring, fully resolved."""

    source: Source = Field(
        description="Domain trained on: a site or a modality; `[A, B]` trains on both; `all`. As an"
        " axis `{grid: sites}`, each of the dataset's domains in turn, or `{grid: leave_one_out}`,"
        " all of them but one."
    )
    target: Annotated[str | None, Level.EVALUATION] = Field(
        default=None, description="Domain tested on; by default every domain but the source's."
    )
    structure: str | None = Field(
        default=None, description="Structure segmented; by default the dataset's only one."
    )
    method: MethodConfig
    seed: int = Field(default=0, ge=0)
    fold: int | None = Field(
        default=None, ge=0, description="Set by the plan for cross-validated upper bounds."
    )
    dataset: Annotated[str, Level.NOTHING] = Field(
        default=PHANTOM,
        description="Name or path of a dataset; its fingerprint enters the identity, not its name.",
    )
    encoder: EncoderConfig = EncoderConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="after")
    def _drop_what_changes_nothing(self) -> TrialConfig:
        """Cells that differ in nothing real become equal: no grid, no grid size."""
        update: dict[str, Any] = {}
        if not self.method.uses_prompt_grid():
            update["grid_size"] = None
        if not self.method.rates_prompts():
            update["iou_threshold"] = None
        changed = {k: v for k, v in update.items() if getattr(self.evaluation, k) is not v}
        if changed:
            object.__setattr__(self, "evaluation", self.evaluation.model_copy(update=changed))
        return self

    @model_validator(mode="after")
    def _use_the_recipe(self) -> TrialConfig:
        """What the YAML's `training` does not set, an official recipe does."""
        own = self.training.model_fields_set
        recipe = {k: v for k, v in self.method.training_defaults().items() if k not in own}
        if recipe:
            object.__setattr__(self, "training", self.training.model_copy(update=recipe))
        return self

    def name(self) -> str:
        """Human name of the training, such as `desam full A-ISBI seed 0`."""
        parts = [self.method.label(), self.structure or "", self.source, f"seed {self.seed}"]
        if self.fold is not None:
            parts.append(f"fold {self.fold}")
        return " ".join(part for part in parts if part)


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested values as `a.b.c` -> text, the form that MLflow keeps as parameters."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = "" if value is None else str(value)
    return flat
