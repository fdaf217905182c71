"""DeSAM's layout: cases and sites from the CSV, structures from dataset.json."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import fault_sources as sources
import pytest

from sweeper.data.faults import Severity
from sweeper.data.layouts.desam import SITES_CSV, looks_like_desam, read_desam

if TYPE_CHECKING:
    from pathlib import Path


def test_cases_have_the_order_and_sites_of_the_csv(tmp_path: Path) -> None:
    read = read_desam(sources.desam(tmp_path))
    assert read.faults == ()
    assert [(case.case, case.domain) for case in read.cases] == [
        ("prostate_004", "D-UCL"),
        ("prostate_003", "A-ISBI"),
        ("prostate_002", "D-UCL"),
        ("prostate_001", "A-ISBI"),
    ]
    assert read.cases[0].image.name == "prostate_004_0000.nii.gz"
    assert read.cases[0].label.name == "prostate_004.nii.gz"


def test_a_work_folder_is_recognised_by_its_raw_data(tmp_path: Path) -> None:
    assert not looks_like_desam(tmp_path)
    sources.desam(tmp_path / "raw_data")
    assert looks_like_desam(tmp_path)
    assert read_desam(tmp_path).root == tmp_path / "raw_data"


def test_images_without_the_channels_suffix_are_read_if_none_has_it(tmp_path: Path) -> None:
    sources.desam(tmp_path)
    for file in (tmp_path / "imagesTr").iterdir():
        file.rename(file.with_name(file.name.replace("_0000", "")))
    read = read_desam(tmp_path)
    assert read.faults == ()
    assert {case.image.name for case in read.cases} == {
        f"prostate_{number:03d}.nii.gz" for number in range(1, 5)
    }


@pytest.mark.parametrize(
    ("content", "structures", "label_map"),
    [
        ({"labels": {"0": "background", "2": "b", "1": "a"}}, ("a", "b"), {1: 1, 2: 2}),
        ({"labels": {"background": 0, "gland": 5}}, ("gland",), {5: 1}),
        ({"labels": {"whole": [1, 4]}}, ("whole",), {1: 1, 4: 2}),
        ({"labels": {"gland": 1, "ignore": 2}}, ("gland",), {1: 1}),
        ({}, ("prostate",), {1: 1}),
    ],
    ids=["version 1", "version 2", "regions", "ignore", "no labels"],
)
def test_structures_come_from_dataset_json_or_default_to_prostate(
    tmp_path: Path, content: object, structures: tuple[str, ...], label_map: dict[int, int]
) -> None:
    sources.desam(tmp_path)
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    read = read_desam(tmp_path)
    assert read.structures == structures
    assert read.cases[0].label_map == label_map
    assert read_desam(tmp_path, {3: "mine"}).structures == ("mine",)


@pytest.mark.parametrize(
    ("row", "code", "severity"),
    [
        ("A-ISBI,77", "csv-no-case", Severity.WARNING),
        ("A-ISBI,1", "csv-duplicate", Severity.ERROR),
        ("A-ISBI,prostate_001", "csv-duplicate", Severity.ERROR),
    ],
)
def test_a_wrong_row_is_a_fault_with_its_line(
    tmp_path: Path, row: str, code: str, severity: Severity
) -> None:
    sources.desam(tmp_path)
    with (tmp_path / SITES_CSV).open("a") as file:
        file.write(row + "\n")
    read = read_desam(tmp_path)
    (fault,) = read.faults
    assert (fault.code, fault.where, fault.severity) == (code, f"{SITES_CSV} line 6", severity)
    assert len(read.cases) == 4


def test_a_number_that_several_cases_end_with_is_ambiguous(tmp_path: Path) -> None:
    sources.desam(tmp_path)
    for folder, ending in (("imagesTr", "_0000"), ("labelsTr", "")):
        sources.write(tmp_path / folder / f"other_2{ending}.nii.gz", sources.label_array())
    codes = [fault.code for fault in read_desam(tmp_path).faults]
    assert codes == ["csv-ambiguous", "csv-no-site", "csv-no-site"]


def test_a_missing_csv_is_a_fault_and_gives_no_cases(tmp_path: Path) -> None:
    sources.desam(tmp_path)
    (tmp_path / SITES_CSV).unlink()
    read = read_desam(tmp_path)
    assert read.cases == ()
    assert [fault.code for fault in read.faults] == ["csv-missing"]
