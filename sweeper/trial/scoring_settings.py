"""How a trial is scored; apart from the factory, so that its code is part of the scoring's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from desam_model.types import PredictionSettings

if TYPE_CHECKING:
    from sweeper.config.trial import EvaluationConfig


def build_settings(config: EvaluationConfig) -> PredictionSettings:
    """How the trial is scored; where a method has no prompt grid, the default stands unused."""
    default = PredictionSettings()
    return PredictionSettings(
        grid_size=default.grid_size if config.grid_size is None else config.grid_size,
        iou_threshold=(
            default.iou_threshold if config.iou_threshold is None else config.iou_threshold
        ),
        min_region_px=config.min_region_px,
    )
