"""Cross-validation folds: an upper bound is never tested on cases it was trained on."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def folds(
    case_ids: Sequence[str], k: int, seed: int
) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """`k` pairs of (train, test) cases; every case is tested exactly once.

    The cases are sorted first, so the order of `case_ids` has no effect; then they are shuffled
    with the seed. Fold sizes differ by at most one.

    Args:
        case_ids: Unique ids.
        k: Number of folds, from 2 to the number of cases.
        seed: Seed of the shuffle.

    Raises:
        ValueError: An id is duplicated, or `k` does not fit the number of cases.
    """
    cases = sorted(case_ids)
    if len(set(cases)) != len(cases):
        duplicate = next(a for a, b in pairwise(cases) if a == b)
        raise ValueError(f"case {duplicate!r} is listed twice; list each case once")
    if not 2 <= k <= len(cases):
        raise ValueError(f"k is {k}, expected 2 to {len(cases)}, the number of cases")
    random.Random(seed).shuffle(cases)
    pairs = []
    for fold in range(k):
        test = cases[fold::k]
        held_out = set(test)
        train = [case for case in cases if case not in held_out]
        pairs.append((tuple(sorted(train)), tuple(sorted(test))))
    return pairs
