"""The metrics: what each is called, how it prints, which way is better, what measures it.

Everything that differs from metric to metric stands here and nowhere else. Reading the table costs
neither torch nor numpy: a metric's function is named, and imported when a case is scored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from desam_model.plugins import PluginError, registry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    Measure = Callable[[np.ndarray, np.ndarray, tuple[float, float, float]], float]

PLUGINS = "sweeper.metrics"
"""Entry point group in which other packages name a `Metric` of theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric of a case under one protocol.

    Attributes:
        name: Key in configs, files and options.
        symbol: Short name, for axes and remarks.
        title: Full name, for captions.
        unit: Unit of printed numbers; empty if there is none.
        scale: Printed number / stored number.
        digits: Decimals of printed numbers.
        is_higher_better: False for distances.
        undefined: When there is no number, in words. Such a case is nan, and ranks last.
        axis: Limits of figures, in printed numbers; None leaves the upper one to the data.
        notable: Difference of printed averages from which on both aggregators are named; None if
            they never are.
        measure: `package.module:function` of `(prediction, reference, spacing_mm) -> float`: masks
            `(n, H, W)` bool, (z, y, x) in millimetres; nan where undefined.
    """

    name: str
    symbol: str
    title: str
    unit: str
    scale: float = 1.0
    digits: int = 2
    is_higher_better: bool
    undefined: str
    axis: tuple[float, float | None] = (0.0, None)
    notable: float | None = None
    measure: str

    @property
    def label(self) -> str:
        """For axes, such as `Dice (%)`."""
        return f"{self.symbol} ({self.unit})" if self.unit else self.symbol

    @property
    def meaning(self) -> str:
        """For captions, such as `Dice in %`."""
        return f"{self.title} in {self.unit}" if self.unit else self.title

    def goodness(self, value: float) -> float:
        """A number that is higher for the better one of two; lowest where undefined."""
        if math.isnan(value):
            return -math.inf
        return value if self.is_higher_better else -value

    def function(self) -> Measure:
        """What `measure` names.

        Raises:
            PluginError: There is no such function.
        """
        try:
            found: Measure = resolve_name(self.measure)
        except (ImportError, AttributeError, ValueError) as err:
            raise PluginError(
                f"metric {self.name!r}: no function {self.measure!r} ({err})"
            ) from err
        return found


MAIN = Metric(
    name="dice",
    symbol="Dice",
    title="Dice",
    unit="%",
    scale=100.0,
    is_higher_better=True,
    undefined="both masks are empty",
    axis=(0.0, 100.0),
    notable=0.5,
    measure="desam_model.scoring.metrics:dice",
)
"""Shown where no metric is asked for; cases that pictures show are chosen by it."""

_OWN = (
    MAIN,
    Metric(
        name="hd95_mm",
        symbol="HD95",
        title="95th-percentile Hausdorff distance",
        unit="mm",
        is_higher_better=False,
        undefined="a mask is empty",
        measure="desam_model.scoring.metrics:hd95",
    ),
    Metric(
        name="asd_mm",
        symbol="ASD",
        title="Symmetric mean surface distance",
        unit="mm",
        is_higher_better=False,
        undefined="a mask is empty",
        measure="desam_model.scoring.metrics:asd",
    ),
)


@cache
def metrics() -> Mapping[str, Metric]:
    """Every metric by name, in the order of tables: ours, then those of other packages by name.

    Raises:
        PluginError: Another package's cannot be loaded, or has a name that is taken.
    """
    return registry(PLUGINS, _OWN, Metric)
