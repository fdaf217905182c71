"""The metrics that can be asked for, from the one table of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from desam_model.scoring.metric_table import MetricError, metrics
from sweeper.errors import ConfigError


def metric_names() -> tuple[str, ...]:
    """In the order of the table.

    Raises:
        ConfigError: Another package's metric cannot be used.
    """
    try:
        return tuple(metrics())
    except MetricError as err:
        raise ConfigError(str(err)) from err


def metric_choices() -> str:
    """What each name means, such as `dice: Dice in %; hd95_mm: ...`."""
    return "; ".join(f"{name}: {metrics()[name].meaning}" for name in metric_names())


if TYPE_CHECKING:
    MetricName = str
else:
    MetricName = Literal[metric_names()]
