"""The ablations of DeSAM and the sources of its training points, as enums."""

from __future__ import annotations

from enum import StrEnum


class Ablation(StrEnum):
    """Which parts of DeSAM are used: the rows of the paper's ablation table."""

    PDMM_ONLY = "pdmm_only"
    IOU_HEAD = "iou_head"
    MASK_EMBEDDING = "mask_embedding"
    FULL = "full"

    @property
    def has_prim(self) -> bool:
        """True if PRIM is used; without it, the model takes no prompt."""
        return self is not Ablation.PDMM_ONLY

    @property
    def fuses_mask(self) -> bool:
        """True if PRIM's mask embedding is fused into PDMM."""
        return self in (Ablation.MASK_EMBEDDING, Ablation.FULL)

    @property
    def has_iou_head(self) -> bool:
        """True if PRIM's IoU head is trained and ranks the prompts."""
        return self in (Ablation.IOU_HEAD, Ablation.FULL)


class TrainingPoints(StrEnum):
    """How training points are sampled in grid mode."""

    UNIFORM = "uniform"
    GRID = "grid"
