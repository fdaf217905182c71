"""Does a repeated training agree with the first? The spread of seeds is the unit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class SeedSpread:
    """The standard deviation over seeds, pooled over cells.

    Attributes:
        deviation: In the unit of the values.
        freedom: Degrees of freedom: seeds minus one, summed over the cells.
    """

    deviation: float
    freedom: int

    def limit(self, n_comparisons: int) -> float:
        """The largest difference between a value and its repetition that still agrees.

        A repetition on another machine differs by less than another seed does. The difference of
        two seeds has the standard deviation `deviation * sqrt(2)`, so it is compared with Student's
        t at level .05, Bonferroni-corrected. Repetitions that are as different as other seeds are
        called different in at most 5 % of verifications; better ones almost never.

        Args:
            n_comparisons: Values that are compared in all.
        """
        from scipy.stats import t  # costs a second

        quantile = t.ppf(1 - LEVEL / (2 * n_comparisons), self.freedom)
        return float(quantile * self.deviation * math.sqrt(2))


def seed_spread(cells: Iterable[Sequence[float]]) -> SeedSpread | None:
    """The pooled spread of the seeds of cells; None if no cell has two defined values.

    Args:
        cells: Per cell the value of each of its seeds.
    """
    squares, freedom = 0.0, 0
    for values in cells:
        defined = [value for value in values if math.isfinite(value)]
        if len(defined) > 1:
            mean = fmean(defined)
            squares += sum((value - mean) ** 2 for value in defined)
            freedom += len(defined) - 1
    return SeedSpread(math.sqrt(squares / freedom), freedom) if freedom else None
