"""Cross-validation folds of patients: an upper bound is never tested on a patient it trained on.

Two scans of one patient stay together, in folds and in the share that validates.
"""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TRAIN_FRACTION = 0.9
"""The first `int(0.9 n)` patients of a site train, the others validate (sources.md S3)."""

FOLD_RULE = "folds of patients; the last 10 % of a domain's training patients validate"
"""Part of a cross-validated training's identity: what the golden trainings are too small to see."""


def training_share(n_patients: int) -> int:
    """How many of a site's first patients train; of two and more, one at least validates.

    Args:
        n_patients: Patients of the site.
    """
    if n_patients < 2:
        return 0
    return max(1, int(TRAIN_FRACTION * n_patients))


def folds(
    patients: Sequence[str], k: int, seed: int
) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The `k` pairs of (train, test) patients in which every patient is tested exactly once.

    The patients are sorted first, so their given order changes nothing; the seed decides the
    shuffle. Fold sizes differ by at most one.

    Args:
        patients: Unique ids.
        k: Folds, from 2 to the number of patients.
        seed: Of the shuffle.

    Raises:
        ValueError: An id stands twice, or `k` does not fit the number of patients.
    """
    shuffled = sorted(patients)
    if len(set(shuffled)) != len(shuffled):
        twice = next(a for a, b in pairwise(shuffled) if a == b)
        raise ValueError(
            f"patient {twice!r} is listed twice; a patient must be in exactly one fold"
        )
    if not 2 <= k <= len(shuffled):
        raise ValueError(f"k is {k}, expected 2 to {len(shuffled)}, the number of patients")
    random.Random(seed).shuffle(shuffled)
    pairs = []
    for fold in range(k):
        test = shuffled[fold::k]
        held_out = set(test)
        train = [patient for patient in shuffled if patient not in held_out]
        pairs.append((tuple(sorted(train)), tuple(sorted(test))))
    return pairs
