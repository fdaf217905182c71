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
"""What `desam_model.desam.losses` trains with where nothing is set; a test compares the two."""


class LossWeightsConfig(Strict):
    """Weights of DeSAM's loss; what is not set is the profile's."""

    dice: float | None = Field(default=None, ge=0, description="Of the soft Dice loss; paper: 1.")
    ce: float | None = Field(
        default=None, ge=0, description="Of the cross-entropy; paper: 1, released: 0."
    )
    iou: float | None = Field(
        default=None, ge=0, description="Of the predicted IoU's error; paper: 10, released: 1."
    )


class DesamConfig(MethodConfigBase):
    """DeSAM: PRIM rates the prompt and embeds the mask, PDMM makes the mask (Gao et al., 2024)."""

    name: Literal["desam"] = "desam"
    prompt_mode: Literal["grid_points", "whole_box"] = Field(
        default="grid_points",
        description="How DeSAM prompts itself, in training and in test (sources.md S20, S23).",
    )
    ablation: Ablation = Field(
        default="full", description="Which parts are on: the rows of the paper's ablation table."
    )
    loss_profile: Literal["paper", "released"] = Field(
        default="paper",
        description="paper: Dice + CE + 10 x MSE; released: squared Dice + L1, as the code really"
        " computes (sources.md S21, S22).",
    )
    loss_weights: LossWeightsConfig | None = Field(
        default=None, description="Own weights of the loss's summands, instead of the profile's."
    )
    training_points: Literal["uniform", "grid"] = Field(
        default="uniform",
        description="Training points uniform inside/outside the reference 1:1, or from the grid.",
    )

    def uses_prompt_grid(self) -> bool:
        """Only point prompts lie on a grid, and without PRIM there is no prompt."""
        return self.prompt_mode == "grid_points" and self.ablation != "pdmm_only"

    def rates_prompts(self) -> bool:
        """Only a trained IoU head rates; a whole box is the only prompt there is."""
        return self.uses_prompt_grid() and self.ablation in ("iou_head", "full")

    def reads_embeddings(self) -> bool:
        """DeSAM never sees an image, only what the frozen encoder made of it."""
        return True

    def module(self) -> str:
        """Where DeSAM's code is."""
        return "desam_model.desam.desam"

    def at_level(self, level: Level) -> dict[str, Any]:
        """Without what changes nothing real: points that nobody chooses or rates, usual weights."""
        values = super().at_level(level)
        if self.ablation == "pdmm_only":
            values.pop("prompt_mode", None)
        if not self.uses_prompt_grid():
            values.pop("training_points", None)
        own = values.pop("loss_weights", {})
        usual = PROFILE_WEIGHTS[self.loss_profile]
        if not self.rates_prompts():
            own.pop("iou", None)
        own = {name: weight for name, weight in own.items() if weight != usual[name]}
        if own:
            values["loss_weights"] = own
        return values

    def label(self) -> str:
        """`desam full`, with the prompt mode where it is the whole box."""
        box = " whole_box" if self.prompt_mode == "whole_box" else ""
        return f"desam {self.ablation}{box}"
