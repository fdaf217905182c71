"""Hints for sources without a known layout say what to name instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sweeper.data.layouts.hints import hint

if TYPE_CHECKING:
    from pathlib import Path


def no_layout(folder: Path) -> None:
    return None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("scan.nii.gz", "it is a single volume; name the folder"),
        ("scan.mha", "it is a single volume; name the folder"),
        ("set.tar.gz", "it is an archive; unpack it"),
        ("set.zip", "it is an archive; unpack it"),
        ("notes.txt", None),
    ],
)
def test_a_file_is_recognised_by_its_suffix(
    tmp_path: Path, name: str, expected: str | None
) -> None:
    (tmp_path / name).touch()
    said = hint(tmp_path / name, no_layout)
    assert said is None if expected is None else said is not None and said.startswith(expected)


def test_a_folder_too_high_names_the_folder_below_and_ignores_hidden_ones(tmp_path: Path) -> None:
    for name in (".cache", "b", "a"):
        (tmp_path / name).mkdir()
    layouts = {".cache": "saml", "b": "desam"}
    said = hint(tmp_path, lambda folder: layouts.get(folder.name))
    assert said == f"its folder b looks like layout desam; name {tmp_path / 'b'}"


def test_a_folder_too_low_names_its_parent_for_layouts_of_sites(tmp_path: Path) -> None:
    site = tmp_path / "UCL"
    site.mkdir()
    for layout, name in (
        ("saml", "Case00_segmentation.nii.gz"),
        ("maxstyle", "patient_1/label_clipped.nii.gz"),
    ):
        (site / name).parent.mkdir(exist_ok=True)
        (site / name).touch()
        said = hint(site, lambda folder, of=layout: of if folder == tmp_path else None)
        assert said == f"it is one site of layout {layout}; name {tmp_path}"


def test_a_folder_beside_sites_is_not_called_a_site(tmp_path: Path) -> None:
    site = tmp_path / "papers"
    site.mkdir()
    for layout in ("saml", "maxstyle", "abdominal"):
        said = hint(site, lambda folder, of=layout: of if folder == tmp_path else None)
        assert said == "it is empty"
    # a folder beside a CSV, or below imagesTr's parent, is not a site
    assert hint(site, lambda folder: "csv" if folder == tmp_path else None) == "it is empty"


def test_dicom_is_recognised_by_suffix_or_preamble(tmp_path: Path) -> None:
    (tmp_path / "IM0001").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 10)
    assert str(hint(tmp_path, no_layout)).startswith("it contains DICOM files")
    (tmp_path / "IM0001").write_bytes(b"\0" * 128 + b"NOPE")
    assert hint(tmp_path, no_layout) is None
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.DCM").touch()
    assert str(hint(tmp_path, no_layout)).startswith("it contains DICOM files")


def test_several_csv_files_and_an_empty_folder_are_named(tmp_path: Path) -> None:
    assert hint(tmp_path, no_layout) == "it is empty"
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("case;site;image;label\n")
    assert hint(tmp_path, no_layout) == "it contains 2 CSV files with cases; name one of them"
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("ID,age\n")
    assert hint(tmp_path, no_layout) is None


@pytest.mark.parametrize(
    ("names", "nearest"),
    [
        (("imagesTr/c_0000.nii.gz",), "layout desam, but there is no labelsTr beside imagesTr"),
        (
            ("images/c.nii", "Masks/c.nii"),
            "layout desam, but its folders are images and Masks, not imagesTr and labelsTr",
        ),
        (
            ("UCL/c1.nii.gz", "UCL/c1_seg.nii.gz"),
            "layout saml, but c1_seg.nii.gz is not named c1_segmentation.nii.gz",
        ),
        (
            ("c1.mha", "c1-label.mha"),
            "layout saml, but c1-label.mha is not named c1_segmentation.mha, in a folder per site",
        ),
        (("CT/a.nii",), "layout abdominal, but CT has no img0001.nii.gz or image_1.nii.gz"),
    ],
)
def test_the_nearest_layout_is_named_with_what_differs_and_the_command_that_helps(
    tmp_path: Path, names: tuple[str, ...], nearest: str
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    said = str(hint(tmp_path, no_layout))
    assert said.startswith(f"the nearest is {nearest}")
    assert said.endswith(f"sweeper data table {tmp_path} --to cases.csv")


def test_other_folders_have_no_hint(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").touch()
    assert hint(tmp_path, no_layout) is None
