"""Splits the cases of a domain into training and validation, by patient and reproducibly."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

from desam_model.training.folds import training_share
from desam_model.types import Split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeper.data.layouts.source import SourceCase

SplitRule = Literal["desam", "seeded"]


def split_cases(
    cases: Sequence[SourceCase], *, rule: SplitRule = "desam", seed: int = 0
) -> dict[str, Split]:
    """Case id -> split; a split given by the source has priority over the rule.

    Args:
        cases: In the order of the source, which matters only for `desam`.
        rule: `desam`: the first 90 % in the source's order are for training; `seeded`: the same
            share of a random order that depends only on `seed`.
        seed: Seed of the `seeded` rule.
    """
    splits: dict[str, Split] = {}
    for domain in dict.fromkeys(case.domain for case in cases):
        own = [case for case in cases if case.domain == domain]
        given = {case.case: case.split for case in own if case.split is not None}
        free = [case for case in own if case.case not in given]
        patients = list(dict.fromkeys(_patient(case) for case in free))
        if rule == "seeded":
            patients.sort(key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())
        training = set(patients[: training_share(len(patients))])
        splits |= given
        splits |= {
            case.case: Split.TRAIN if _patient(case) in training else Split.VALIDATION
            for case in free
        }
    return splits


def _patient(case: SourceCase) -> str:
    return case.patient or case.case
