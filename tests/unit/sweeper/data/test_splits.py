"""Splits are by patient, reproducible, and leave a case to validate on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from desam_model.types import Split
from sweeper.data.layouts.source import SourceCase
from sweeper.data.splits import split_cases


def cases(n: int, domain: str = "A", split: Split | None = None) -> list[SourceCase]:
    return [
        SourceCase(
            case=f"{domain}{i:02d}",
            domain=domain,
            image=Path("i"),
            label=Path("l"),
            label_map={},
            split=split,
        )
        for i in range(n)
    ]


@pytest.mark.parametrize(
    ("n", "train"), [(30, 27), (19, 17), (13, 11), (12, 10), (5, 4), (4, 3), (2, 1)]
)
def test_desam_trains_on_the_first_ninety_percent(n, train):
    # the counts of sources.md S3, and those of the phantom
    split = split_cases(cases(n))
    assert list(split.values()) == [Split.TRAIN] * train + [Split.VALIDATION] * (n - train)


def test_the_seeded_rule_minds_the_seed_and_not_the_order():
    own = cases(10) + cases(6, "B")
    split = split_cases(own, rule="seeded", seed=3)
    assert split == split_cases(own[::-1], rule="seeded", seed=3)
    assert any(split != split_cases(own, rule="seeded", seed=s) for s in range(4, 9))
    assert sum(s is Split.VALIDATION for s in split.values()) == 2


def test_a_given_split_wins_over_the_rule():
    given = cases(2, "B", Split.VALIDATION)
    split = split_cases([*cases(4), *given])
    assert {split[c.case] for c in given} == {Split.VALIDATION}
    assert split["A00"] is Split.TRAIN


@pytest.mark.parametrize("rule", ["desam", "seeded"])
def test_scans_of_one_patient_stay_on_one_side(rule):
    scans = [replace(case, patient=f"p{i // 4}") for i, case in enumerate(cases(20))]
    split = split_cases(scans, rule=rule, seed=1)
    sides = {p: {split[c.case] for c in scans if c.patient == p} for p in ("p0", "p2", "p4")}
    assert all(len(side) == 1 for side in sides.values())
    assert sum(s is Split.VALIDATION for s in split.values()) == 4
