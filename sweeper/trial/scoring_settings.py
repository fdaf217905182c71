"""Builds the scoring settings; a separate module, because its code is part of the scoring code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from desam_model.types import PredictionSettings

if TYPE_CHECKING:
    from sweeper.config.trial import EvaluationConfig


def build_settings(config: EvaluationConfig) -> PredictionSettings:
    """The scoring settings of a trial; a method without a prompt grid ignores the grid size."""
    default = PredictionSettings()
    return PredictionSettings(
        grid_size=default.grid_size if config.grid_size is None else config.grid_size,
        iou_threshold=(
            default.iou_threshold if config.iou_threshold is None else config.iou_threshold
        ),
        min_region_px=config.min_region_px,
    )
