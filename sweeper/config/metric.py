"""The metrics that a report can show, from the metric table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from desam_model.scoring.metric_table import metrics


def metric_names() -> tuple[str, ...]:
    """Names of all metrics, in the order of the table."""
    return tuple(metrics())


def metric_choices() -> str:
    """The meaning of each metric, such as `dice: Dice in %; hd95_mm: ...`."""
    return "; ".join(f"{name}: {metric.meaning}" for name, metric in metrics().items())


if TYPE_CHECKING:
    MetricName: TypeAlias = str
else:
    MetricName = Literal[metric_names()]
