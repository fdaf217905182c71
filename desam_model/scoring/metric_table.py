"""The registry of metrics: names, printing, direction and the functions that compute them.

Everything that differs between metrics is defined here. This module imports neither torch nor
NumPy: the function of a metric is given by name and imported when a case is scored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Literal

from desam_model.plugins import PluginError, registry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    Measure = Callable[[np.ndarray, np.ndarray, tuple[float, float, float]], float]

PLUGINS = "sweeper.metrics"
"""Entry point group through which other packages add their `Metric`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric of a case under one protocol.

    Attributes:
        name: Key in configs, files and options.
        symbol: Short name, for axes and notes.
        title: Full name, for captions.
        unit: Unit of printed values; empty if there is none.
        scale: Factor from stored to printed values.
        digits: Decimals of printed values.
        is_higher_better: False for distances.
        undefined: A phrase that says when the metric is undefined. The value is then nan and ranks
            last.
        axis: Limits of axes in figures, in printed values; None takes the upper limit from the
            data.
        notable: Difference of printed averages from which the report names both aggregators; None
            if it never does.
        worst: What `undefined: worst` puts in the place of an undefined value where the prediction
            is empty and the reference is not: `diagonal`, the length of the scan's diagonal; None
            if there is no such value.
        measure: `package.module:function` with the signature `(prediction, reference, spacing_mm)
            -> float`: masks `(n, H, W)` bool, spacing (z, y, x) in millimetres; nan if undefined.
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
    worst: Literal["diagonal"] | None = None
    measure: str

    @property
    def label(self) -> str:
        """Label for axes, such as `Dice (%)`."""
        return f"{self.symbol} ({self.unit})" if self.unit else self.symbol

    @property
    def meaning(self) -> str:
        """Name and unit for captions, such as `Dice in %`."""
        return f"{self.title} in {self.unit}" if self.unit else self.title

    def goodness(self, value: float) -> float:
        """A sort key that is higher for the better of two values; lowest if undefined."""
        if math.isnan(value):
            return -math.inf
        return value if self.is_higher_better else -value

    def function(self) -> Measure:
        """The function that `measure` names.

        Raises:
            PluginError: There is no such function.
        """
        try:
            function: Measure = resolve_name(self.measure)
        except (ImportError, AttributeError, ValueError) as err:
            raise PluginError(
                f"metric {self.name!r}: no function {self.measure!r} ({err})"
            ) from err
        return function


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
"""The default metric of reports; it also selects the cases that figures show."""

_BUILT_IN = (
    MAIN,
    Metric(
        name="hd95_mm",
        symbol="HD95",
        title="95th-percentile Hausdorff distance (both directions pooled)",
        unit="mm",
        is_higher_better=False,
        undefined="a mask is empty",
        worst="diagonal",
        measure="desam_model.scoring.metrics:hd95",
    ),
    Metric(
        name="asd_mm",
        symbol="ASD",
        title="Symmetric mean surface distance",
        unit="mm",
        is_higher_better=False,
        undefined="a mask is empty",
        worst="diagonal",
        measure="desam_model.scoring.metrics:asd",
    ),
    Metric(
        name="hd95_monai_mm",
        symbol="HD95 MONAI",
        title="95th-percentile Hausdorff distance as MONAI's (the larger direction)",
        unit="mm",
        is_higher_better=False,
        undefined="a mask is empty",
        worst="diagonal",
        measure="desam_model.scoring.metrics:hd95_monai",
    ),
    Metric(
        name="asd_monai_mm",
        symbol="ASD MONAI",
        title="Mean surface distance as MONAI's default (from the prediction to the reference)",
        unit="mm",
        is_higher_better=False,
        undefined="a mask is empty",
        worst="diagonal",
        measure="desam_model.scoring.metrics:asd_monai",
    ),
)


@cache
def metrics() -> Mapping[str, Metric]:
    """All metrics by name, in the order of tables: the built-in ones, then those of plugins.

    Raises:
        PluginError: A metric of another package cannot be loaded, or its name is already taken.
    """
    return registry(PLUGINS, _BUILT_IN, Metric)
