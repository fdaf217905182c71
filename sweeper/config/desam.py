"""DeSAM's options."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from sweeper.config.base import Level, MethodConfigBase, Strict

Ablation = Literal["pdmm_only", "iou_head", "mask_embedding", "full"]


PROFILE_WEIGHTS = {
    "paper": {"dice": 1.0, "ce": 1.0, "iou": 10.0},
    "released": {"dice": 1.0, "ce": 0.0, "iou": 1.0},
}
"""The weights that `desam_model.desam.losses` uses by default; a test compares the two."""


class LossWeightsConfig(Strict):
    """Weights of DeSAM's loss terms; the default of each is the loss profile's."""

    dice: float | None = Field(default=None, ge=0, description="Of the soft Dice loss; paper: 1.")
    ce: float | None = Field(
        default=None, ge=0, description="Of the cross-entropy; paper: 1, released: 0."
    )
    iou: float | None = Field(
        default=None, ge=0, description="Of the predicted IoU's error; paper: 10, released: 1."
    )


class DesamConfig(MethodConfigBase):
    """DeSAM: PRIM rates the prompt and embeds the mask, PDMM predicts it (Gao et al., 2024)."""

    name: Literal["desam"] = "desam"
    prompt_mode: Literal["grid_points", "whole_box"] = Field(
        default="grid_points",
        description="How DeSAM prompts itself in training and testing (sources.md S20, S23).",
    )
    ablation: Ablation = Field(
        default="full", description="The active parts: the rows of the paper's ablation table."
    )
    loss_profile: Literal["paper", "released"] = Field(
        default="paper",
        description="paper: Dice + CE + 10 x MSE; released: squared Dice + L1, as in the released"
        " code (sources.md S21, S22).",
    )
    loss_weights: LossWeightsConfig | None = Field(
        default=None, description="Weights of the loss terms, instead of the profile's."
    )
    training_points: Literal["uniform", "grid"] = Field(
        default="uniform",
        description="uniform: random points, half of them inside the reference; grid: points of the"
        " prompt grid.",
    )

    def uses_prompt_grid(self) -> bool:
        """True for point prompts; without PRIM there are no prompts."""
        return self.prompt_mode == "grid_points" and self.ablation != "pdmm_only"

    def rates_prompts(self) -> bool:
        """True for point prompts with a trained IoU head; a whole box is the only prompt."""
        return self.uses_prompt_grid() and self.ablation in ("iou_head", "full")

    def reads_embeddings(self) -> bool:
        """True: DeSAM sees only the frozen encoder's embeddings, never an image."""
        return True

    def module(self) -> str:
        """The module with DeSAM's code."""
        return "desam_model.desam.desam"

    def at_level(self, level: Level) -> dict[str, Any]:
        """Without options that have no effect here, and without weights equal to the profile's."""
        values = super().at_level(level)
        if self.ablation == "pdmm_only":
            values.pop("prompt_mode", None)
        if not self.uses_prompt_grid():
            values.pop("training_points", None)
        weights = values.pop("loss_weights", {})
        defaults = PROFILE_WEIGHTS[self.loss_profile]
        if not self.rates_prompts():
            weights.pop("iou", None)
        weights = {name: weight for name, weight in weights.items() if weight != defaults[name]}
        if weights:
            values["loss_weights"] = weights
        return values

    def label(self) -> str:
        """Such as `desam full`; the prompt mode is added if it is the whole box."""
        box = " whole_box" if self.prompt_mode == "whole_box" else ""
        return f"desam {self.ablation}{box}"
