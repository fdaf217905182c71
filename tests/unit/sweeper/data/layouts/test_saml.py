"""The folder layouts SAML and MaxStyle: sites, zones, missing files and other folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fault_sources as sources

from sweeper.data.faults import Severity
from sweeper.data.layouts.saml import (
    ZONES,
    looks_like_maxstyle,
    looks_like_saml,
    read_maxstyle,
    read_saml,
)

if TYPE_CHECKING:
    from pathlib import Path


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_the_two_layouts_are_not_confused(tmp_path: Path) -> None:
    saml, maxstyle = sources.saml(tmp_path / "s"), sources.maxstyle(tmp_path / "m")
    assert looks_like_saml(saml)
    assert not looks_like_saml(maxstyle)
    assert looks_like_maxstyle(maxstyle)
    assert not looks_like_maxstyle(saml)


def test_saml_cases_are_named_by_site_and_file_in_natural_order(tmp_path: Path) -> None:
    for n in (10, 2):
        touch(tmp_path / "RUNMC", f"Case{n}.nii.gz", f"Case{n}_Segmentation.nii.gz")
    touch(tmp_path / "north", "x.nii.gz", "X_segmentation.nii.gz")
    read = read_saml(tmp_path)
    assert read.faults == ()
    assert [(case.case, case.domain) for case in read.cases] == [
        ("north_x", "north"),
        ("A-ISBI_Case2", "A-ISBI"),
        ("A-ISBI_Case10", "A-ISBI"),
    ]
    assert {case.label_map[zone] for case in read.cases for zone in (1, 2)} == {1}
    assert read.cases[0].label_map == ZONES


def test_saml_reports_missing_and_second_files(tmp_path: Path) -> None:
    touch(tmp_path / "UCL", "a.nii.gz", "b_segmentation.nii.gz", "c.nii.gz", "c.mha")
    touch(tmp_path / "UCL", "c_segmentation.nii.gz")
    read = read_saml(tmp_path)
    assert [(fault.code, fault.case) for fault in read.faults] == [
        ("case-duplicate", "D-UCL_c"),
        ("label-missing", "D-UCL_a"),
        ("image-missing", "D-UCL_b"),
    ]
    assert [case.case for case in read.cases] == ["D-UCL_c"]


def test_volumes_outside_the_sites_are_a_warning(tmp_path: Path) -> None:
    touch(tmp_path, "UCL/a.nii.gz", "UCL/a_segmentation.nii.gz", "loose.nii.gz", "read.me")
    touch(tmp_path, "derived/m1.nii.gz", "derived/m2.nii.gz", "text/readme.txt", ".hidden/x.nii")
    faults = read_saml(tmp_path).faults
    assert {(fault.code, fault.severity) for fault in faults} == {
        ("folder-left-out", Severity.WARNING)
    }
    assert [fault.where for fault in faults] == [tmp_path.name, "derived"]
    assert "1 volume outside the site folders, such as loose.nii.gz" in faults[0].problem
    assert "contains 2 volumes but no segmentation" in faults[1].problem


def test_maxstyle_skips_the_seventh_site_and_reports_missing_files(tmp_path: Path) -> None:
    image, label = "t2_img_clipped.nii.gz", "label_clipped.nii.gz"
    touch(tmp_path, f"A-ISBI/patient_1/{image}", f"A-ISBI/patient_1/{label}")
    touch(tmp_path, f"A-ISBI/patient_2/{image}", f"F-HK/patient_3/{label}", "F-HK/patient_4/x.txt")
    touch(tmp_path, f"G-MedicalDecathlon/patient_0/{image}")
    read = read_maxstyle(tmp_path)
    assert [case.case for case in read.cases] == ["A-ISBI_patient_1"]
    assert [(fault.code, fault.case) for fault in read.faults] == [
        ("label-missing", "A-ISBI_patient_2"),
        ("image-missing", "F-HK_patient_3"),
        ("case-empty", "F-HK_patient_4"),
    ]
