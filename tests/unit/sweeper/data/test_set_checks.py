"""Faults of a dataset as a whole, each on a source that has only this fault."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from desam_model.types import Split
from sweeper.data.faults import Severity
from sweeper.data.importer import CaseResult
from sweeper.data.layouts.source import SourceCase, SourceDataset
from sweeper.data.set_checks import FULL_SET, check_results, check_source

ROOT = Path("/data/set")


def case(name: str, domain: str = "A-ISBI", **changes: object) -> SourceCase:
    made = SourceCase(
        case=name,
        domain=domain,
        image=ROOT / domain / f"{name}.nii",
        label=ROOT / domain / f"{name}-label.nii",
        label_map={1: 1},
    )
    return replace(made, **changes)


def source(*cases: SourceCase, layout: str = "saml") -> SourceDataset:
    return SourceDataset(root=ROOT, layout=layout, cases=cases, structures=("prostate",))


def full_set() -> list[SourceCase]:
    return [case(f"{s}_{n}", s) for s, count in FULL_SET.items() for n in range(count)]


def test_the_full_dataset_and_a_small_sound_one_have_no_faults() -> None:
    assert check_source(source(*full_set())) == ()
    assert check_source(source(case("a"), case("b"))) == ()


@pytest.mark.parametrize(
    ("cases", "code", "problem", "severity"),
    [
        ([case("a"), case("a")], "case-duplicate", "case a occurs 2 times", Severity.ERROR),
        ([case("a")], "too-few-cases", "has 1 case, but a domain needs", Severity.WARNING),
        ([case("a"), case("a/b")], "case-name", "case 'a/b' is not valid", Severity.ERROR),
        ([], "no-cases", "contains no case of layout saml", Severity.ERROR),
        (
            [case("a", "Utrecht"), case("b", "Utrecht")],
            "site-unknown",
            "it is not one of the six sites",
            Severity.WARNING,
        ),
        (
            full_set()[:-1],
            "set-incomplete",
            "has 116 cases, but this has 115: F-HK 11 of 12",
            Severity.WARNING,
        ),
        (
            [case("a", split=Split.TRAIN), case("b", split=Split.TRAIN)],
            "split-one-sided",
            "none of its 2 cases is in split validation",
            Severity.ERROR,
        ),
        (
            [*full_set(), case("x", patient="p"), case("y", "D-UCL", patient="p")],
            "patient-twice",
            "patient p is also in A-ISBI, as x",
            Severity.ERROR,
        ),
        (
            [
                case("a", patient="p", split=Split.TRAIN),
                case("b", patient="p", split=Split.VALIDATION),
            ],
            "patient-twice",
            "patient p has the splits train and validation, the first for a",
            Severity.ERROR,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_a_fault_is_reported_with_its_value_and_severity(
    cases: list[SourceCase], code: str, problem: str, severity: Severity
) -> None:
    faults = [fault for fault in check_source(source(*cases)) if fault.code == code]
    assert len(faults) == 1
    assert problem in faults[0].problem
    assert faults[0].severity is severity


def test_sites_outside_the_prostate_layouts_are_not_compared_with_the_six() -> None:
    cases = [case(name, "north") for name in "ab"]
    assert check_source(source(*cases, layout="csv")) == ()


def result(made: SourceCase, voxels: str, channels: int = 1) -> CaseResult:
    return CaseResult(case=made, voxel_hash=voxels, n_channels=channels)


def test_equal_voxels_leak_across_sites_and_across_splits() -> None:
    first = result(case("a"), "v1")
    (across,) = check_results([first, result(case("b", "D-UCL"), "v1")])
    assert across.case == "b"
    assert "same voxels as a of A-ISBI" in across.problem
    assert "leaks the target" in across.remedy
    (within,) = check_results([first, result(case("b"), "v1")])
    assert "leaks between the splits" in within.remedy
    known = [result(case(name, patient="p"), "v1") for name in ("a", "b")]
    (same_patient,) = check_results(known)
    assert same_patient.remedy == "remove one: a scan counts once"
    assert check_results([first, result(case("b"), "v2")]) == ()
    assert check_results([result(case("a"), ""), result(case("b"), "")]) == ()  # unreadable


def test_the_rarer_kind_of_channels_gets_the_fault() -> None:
    results = [result(case(name), name, 1) for name in ("a", "b")] + [result(case("c"), "c", 3)]
    (fault,) = check_results(results)
    assert (fault.code, fault.case) == ("channels-mixed", "c")
    assert fault.problem == "it is in colour, but 2 other images are grey"
