"""Uncertainty of a mean over seeds and patients: another seed and another patient both count.

A method's number varies with the seed of its training and with the patients that it is tested on
(Bouthillier et al. 2021, sources.md S60). Two-level resampling draws seeds, then patients within
their sites; its variance is the sum of the two components computed here. Its percentiles, though,
take three seeds for many: under the null a 95 % interval of them missed 0 in up to 20 % of tables.
So each component gets Student's quantile for its own degrees of freedom, and the two are joined as
in Banerjee's interval (1960, sources.md S61), which covers at least its level. p and interval are
one formula, solved for the level or for the width; `tests/unit/sweeper/report/test_two_level.py`
simulates what they hold.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MIN_SEEDS = 3
"""Seeds below which nothing is claimed about a method: two leave one degree of freedom, on which an
interval is 13 standard errors wide."""

_SMALLEST_P = 1e-12
_BISECTIONS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoLevel:
    """A mean over seeds and patients, or a difference of two, with its uncertainty.

    Attributes:
        estimate: In the unit of print, such as percent.
        seed_variance: Of `estimate`, by the choice of seeds.
        patient_variance: Of `estimate`, by the choice of patients.
        seed_freedom: Degrees of freedom of `seed_variance`.
        patient_freedom: Degrees of freedom of `patient_variance`; 0: it cannot be estimated.
    """

    estimate: float
    seed_variance: float
    patient_variance: float
    seed_freedom: int
    patient_freedom: int

    @property
    def is_estimable(self) -> bool:
        """True if there are enough seeds and patients for an interval."""
        return self.seed_freedom >= MIN_SEEDS - 1 and self.patient_freedom >= 1

    def interval(self, level: float = 0.05) -> tuple[float, float] | None:
        """The `1 - level` confidence interval; None where it cannot be estimated."""
        if not self.is_estimable:
            return None
        half = self._half_width(level)
        return self.estimate - half, self.estimate + half

    def p(self) -> float | None:
        """Two-sided p that the true value is 0; None where it cannot be estimated.

        It is the level at which `interval` just touches 0.
        """
        if not self.is_estimable:
            return None
        distance = abs(self.estimate)
        if distance == 0.0:
            return 1.0
        # half the width falls as the level rises: bisect on its logarithm
        low, high = math.log(_SMALLEST_P), 0.0
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            if self._half_width(math.exp(middle)) > distance:
                low = middle
            else:
                high = middle
        return math.exp(high)

    def _half_width(self, level: float) -> float:
        from scipy.special import stdtrit  # costs a third of a second; most tables have no test

        seeds = self.seed_variance * stdtrit(self.seed_freedom, 1 - level / 2) ** 2
        patients = self.patient_variance * stdtrit(self.patient_freedom, 1 - level / 2) ** 2
        return math.sqrt(seeds + patients)


def two_level(values: NDArray[np.float64], sites: Sequence[str]) -> TwoLevel:
    """The mean of a table of seeds and patients.

    Args:
        values: `(seeds, patients)`, what each patient adds to the number under each seed, so that a
            row's sum is that seed's number. For a difference, that of the two sides with the same
            seed and patient.
        sites: `(patients,)`, within which patients are exchangeable.
    """
    variance, freedom = _patient_variance(values.mean(axis=0), sites)
    return TwoLevel(
        estimate=float(values.sum(axis=1).mean()),
        seed_variance=_seed_variance(values),
        patient_variance=variance,
        seed_freedom=len(values) - 1,
        patient_freedom=freedom,
    )


def two_level_difference(
    values: NDArray[np.float64], base: NDArray[np.float64], sites: Sequence[str]
) -> TwoLevel:
    """The difference of two sides whose seeds have nothing in common; patients are paired.

    Args:
        values: `(seeds, patients)`, as in `two_level`.
        base: `(its own seeds, patients)`, the side that is subtracted.
        sites: `(patients,)`.
    """
    variance, freedom = _patient_variance(values.mean(axis=0) - base.mean(axis=0), sites)
    return TwoLevel(
        estimate=float(values.sum(axis=1).mean() - base.sum(axis=1).mean()),
        seed_variance=_seed_variance(values) + _seed_variance(base),
        patient_variance=variance,
        seed_freedom=min(len(values), len(base)) - 1,
        patient_freedom=freedom,
    )


def resample(
    values: NDArray[np.float64], sites: Sequence[str], *, n_resamples: int, seed: int = 0
) -> NDArray[np.float64]:
    """Two-level resampling: seeds with replacement, then patients within their sites.

    Args:
        values: `(rows, seeds, patients)`; all rows share the draws.
        sites: `(patients,)`.
        n_resamples: How often.
        seed: Of the draws.

    Returns:
        `(n_resamples, rows)`, each row's number.
    """
    generator = np.random.default_rng(seed)
    n_seeds = values.shape[1]
    drawn = generator.multinomial(n_seeds, [1.0 / n_seeds] * n_seeds, size=n_resamples)
    counts = np.zeros((n_resamples, len(sites)))
    for members in _strata(sites):
        n = len(members)
        counts[:, members] = generator.multinomial(n, [1.0 / n] * n, size=n_resamples)
    numbers: NDArray[np.float64] = np.einsum(
        "ns,rsp,np->nr", drawn / n_seeds, values, counts, optimize=True
    )
    return numbers


def _seed_variance(values: NDArray[np.float64]) -> float:
    """Of the mean over seeds; 0 of a single seed, for which nothing is claimed."""
    if len(values) < 2:
        return 0.0
    return float(values.sum(axis=1).var(ddof=1) / len(values))


def _patient_variance(values: NDArray[np.float64], sites: Sequence[str]) -> tuple[float, int]:
    """Of a sum over patients drawn within their sites, and its degrees of freedom.

    A site with a single patient tells nothing of its own spread: such sites form one stratum, and
    a lone one joins the smallest other site (collapsed strata: too wide rather than too narrow).
    """
    strata = _collapsed(sites)
    variance = sum(len(s) * float(values[s].var(ddof=1)) for s in strata if len(s) > 1)
    return variance, sum(len(s) - 1 for s in strata)


def _collapsed(sites: Sequence[str]) -> list[list[int]]:
    strata = sorted(_strata(sites), key=len)
    single = [members[0] for members in strata if len(members) == 1]
    several = [members for members in strata if len(members) > 1]
    if len(single) == 1 and several:
        return [[*single, *several[0]], *several[1:]]
    return [single, *several] if single else several


def _strata(sites: Sequence[str]) -> list[list[int]]:
    members: dict[str, list[int]] = defaultdict(list)
    for i, site in enumerate(sites):
        members[site].append(i)
    return list(members.values())
