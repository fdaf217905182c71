"""What of DeSAM can be switched: values, not classes."""

from __future__ import annotations

from enum import StrEnum


class Ablation(StrEnum):
    """Which parts are on: the rows of the paper's ablation table."""

    PDMM_ONLY = "pdmm_only"
    IOU_HEAD = "iou_head"
    MASK_EMBEDDING = "mask_embedding"
    FULL = "full"

    @property
    def has_prim(self) -> bool:
        """False if no prompt plays a part."""
        return self is not Ablation.PDMM_ONLY

    @property
    def fuses_mask(self) -> bool:
        """True if PRIM's mask embedding enters PDMM."""
        return self in (Ablation.MASK_EMBEDDING, Ablation.FULL)

    @property
    def has_iou_head(self) -> bool:
        """True if PRIM's predicted IoU is trained and ranks the prompts."""
        return self in (Ablation.IOU_HEAD, Ablation.FULL)


class TrainingPoints(StrEnum):
    """Where training points come from in grid mode."""

    UNIFORM = "uniform"
    GRID = "grid"
