"""Wilcoxon's signed-rank test over patients: whether these trained networks differ.

It says nothing of the methods: the patients are resampled in thought, the seeds are not.
"""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeper.report.measurements import Pool
    from sweeper.report.statistics.contributions import Patient


def signed_rank(differences: Sequence[float]) -> tuple[float, float]:
    """Two-sided Wilcoxon signed-rank p, and the smallest p that so many differences can reach.

    Zero differences are left out, as Wilcoxon did; with none left both are 1. An approximation
    (many ties) is never let below what the exact test could reach.
    """
    nonzero = [d for d in differences if d != 0.0]
    if not nonzero:
        return 1.0, 1.0
    from scipy import stats  # costs a second, and most tables have no baseline

    smallest = min(1.0, 2.0 ** (1 - len(nonzero)))
    return max(smallest, float(stats.wilcoxon(nonzero).pvalue)), smallest


def patient_means(cells: Sequence[Mapping[str, Pool]]) -> dict[Patient, float]:
    """Each patient's plain mean over the columns, seeds and structures of some cells."""
    values: dict[Patient, list[float]] = defaultdict(list)
    for by_seed in cells:
        for pool in by_seed.values():
            for numbers in pool.numbers.values():
                for number in numbers:
                    values[number.patient].append(number.value)
    return {patient: fmean(found) for patient, found in values.items()}
