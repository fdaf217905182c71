"""A folder of any arrangement gets a table that imports; what is left out is said."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import dicom_writer as dicom
import fault_sources as sources
import official_sets as official
import pytest

from sweeper.data.table import propose_table, write_table
from sweeper.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


def proposed(root: Path, **chosen: str) -> list[tuple[str, ...]]:
    """(case, site, image, label) of each row, paths relative to the folder."""
    return [
        (
            row.case,
            row.site,
            row.image.relative_to(root).as_posix(),
            row.label.relative_to(root).as_posix(),
        )
        for row in propose_table(root, **chosen).rows
    ]


def test_prostate158_takes_t2_with_the_anatomy_that_every_case_has(tmp_path: Path) -> None:
    root = official.prostate158(tmp_path / "prostate158_train")
    assert proposed(root) == [
        (
            f"{n:03d}",
            "prostate158_train",
            f"train/{n:03d}/t2.nii.gz",
            f"train/{n:03d}/t2_anatomy_reader1.nii.gz",
        )
        for n in (20, 21, 22)
    ]
    proposal = propose_table(root)
    assert proposal.values == (1, 2)
    assert proposal.remarks == (
        "6 images not in the table, such as train/020/adc (3), train/020/dwi (3); the first case"
        " has train/020/t2; choose others with --images TEXT",
        "1 label not in the table, such as train/020/t2_tumor_reader1 (1); the first case has"
        " train/020/t2_anatomy_reader1; choose others with --labels TEXT",
        "the labels contain 1, 2; name them with --structures, where values with the same name are"
        " one structure",
    )
    assert [image for _, _, image, _ in proposed(root, images="adc")] == [
        f"train/{n:03d}/adc.nii.gz" for n in (20, 21, 22)
    ]


def test_nci_isbi_pairs_series_with_nrrd_of_another_archive(tmp_path: Path) -> None:
    rows = proposed(official.nci_isbi(tmp_path / "nci"))
    assert [(case, site) for case, site, *_ in rows] == [
        ("Prostate3T-01-0001", "Prostate3T"),
        ("Prostate3T-01-0002", "Prostate3T"),
        ("ProstateDx-01-0001", "ProstateDx"),
        ("ProstateDx-01-0002", "ProstateDx"),
    ]
    assert rows[2][3].endswith("ProstateDx-01-0001_correctedLabels.nrrd")
    assert rows[2][2].endswith("5.000000-t2tsetra-82391")


def test_i2cvb_pairs_dicom_with_dicom_and_prefers_t2(tmp_path: Path) -> None:
    assert proposed(official.i2cvb(tmp_path / "set"), labels="GT/prostate") == [
        (f"Patient_{n}", "set", f"Patient_{n}/T2W", f"Patient_{n}/GT/prostate") for n in (383, 384)
    ]


def test_prostatex_pairs_series_with_masks_by_patient(tmp_path: Path) -> None:
    rows = proposed(official.prostatex(tmp_path / "set"))
    assert [case for case, *_ in rows] == ["ProstateX-0000", "ProstateX-0001"]
    assert all("t2tsetra" in image for _, _, image, _ in rows)


def test_bids_takes_sites_from_the_participants(tmp_path: Path) -> None:
    rows = proposed(official.bids(tmp_path / "set"))
    assert [(case, site) for case, site, *_ in rows] == [
        ("sub-01", "north"),
        ("sub-02", "north"),
        ("sub-03", "south"),
    ]


def test_pictures_in_images_and_masks_are_one_case_each(tmp_path: Path) -> None:
    assert proposed(official.images_and_masks(tmp_path / "skin"))[0] == (
        "ISIC_0000",
        "skin",
        "images/ISIC_0000.png",
        "masks/ISIC_0000_segmentation.png",
    )


def test_pictures_whose_names_recur_are_slices_of_volumes(tmp_path: Path) -> None:
    for patient in ("anna", "ben"):
        dicom.write_pictures(tmp_path / patient / "img", sources.label_array() * 200)
        dicom.write_pictures(tmp_path / patient / "seg", sources.label_array())
    assert [(case, image, label) for case, _, image, label in proposed(tmp_path)] == [
        ("anna", "anna/img", "anna/seg"),
        ("ben", "ben/img", "ben/seg"),
    ]


def test_chaos_has_its_two_modalities_as_sites(tmp_path: Path) -> None:
    root = official.chaos(tmp_path)
    rows = propose_table(root, images="t2spir").rows
    assert [(row.case, row.site, row.modality) for row in rows] == [
        ("1", "MR", "MR"),
        ("2", "MR", "MR"),
    ]
    everything = propose_table(root).rows
    assert {(row.site, row.modality) for row in everything} == {("CT", "CT"), ("MR", "MR")}
    assert len({row.case for row in everything}) == len(everything) == 6
    # the two sequences of a patient may not be on both sides of a split
    assert [row.patient for row in everything if row.site == "MR"] == ["MR_1"] * 2 + ["MR_2"] * 2


def test_amos_is_two_sites_by_number(tmp_path: Path) -> None:
    rows = propose_table(official.amos(tmp_path / "amos22")).rows
    assert [(row.case, row.site, row.modality) for row in rows] == [
        ("amos_0001", "AMOS_CT", "CT"),
        ("amos_0002", "AMOS_CT", "CT"),
        ("amos_0507", "AMOS_MR", "MR"),
        ("amos_0508", "AMOS_MR", "MR"),
    ]


def test_a_label_whose_image_is_missing_is_paired_with_no_other(tmp_path: Path) -> None:
    for number in range(1, 12):
        sources.write(tmp_path / "images" / f"p-01-{number:03d}.nii.gz", sources.image_array())
        sources.write(tmp_path / "labels" / f"p-01-{number:03d}.nii.gz", sources.label_array())
    (tmp_path / "images" / "p-01-004.nii.gz").unlink()
    proposal = propose_table(tmp_path)
    assert [row.image.name for row in proposal.rows] == [row.label.name for row in proposal.rows]
    assert len(proposal.rows) == 10
    assert proposal.remarks[0] == "1 label without an image left out, such as labels/p-01-004"


def test_folders_named_test_and_validation_become_splits(tmp_path: Path) -> None:
    for number, part in enumerate(("train", "train", "val", "test")):
        folder = tmp_path / part
        sources.write(folder / "images" / f"c{number}.nii.gz", sources.image_array())
        sources.write(folder / "masks" / f"c{number}.nii.gz", sources.label_array())
    rows = propose_table(tmp_path).rows
    assert {row.case: row.split for row in rows} == {
        "c0": "train",
        "c1": "train",
        "c2": "validation",
        "c3": "test",
    }


def test_paths_are_relative_to_the_table_if_they_are_below_it(tmp_path: Path) -> None:
    root = official.images_and_masks(tmp_path / "set", cases=1)
    for home, expected in (
        (tmp_path, "set/images/ISIC_0000.png"),
        (tmp_path / "elsewhere", str(root / "images" / "ISIC_0000.png")),
        (None, str(root / "images" / "ISIC_0000.png")),
    ):
        file = io.StringIO()
        write_table(propose_table(root), file, home)
        (row,) = csv.DictReader(io.StringIO(file.getvalue()))
        assert row["image"] == expected


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ((), "contains no volumes, DICOM series or pictures; name another folder"),
        (("a.nii.gz",), "contains 1 images but no label: no name contains a word such as"),
        (("mask1.nii.gz",), "contains 1 labels but no image; say with --images TEXT"),
        (
            ("img_anna.nii.gz", "mask_ben.nii.gz"),
            "but no label shares a name or number with an image; write the table by hand",
        ),
    ],
)
def test_a_folder_without_pairs_says_what_is_missing(
    tmp_path: Path, files: tuple[str, ...], problem: str
) -> None:
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(DataError) as caught:
        propose_table(tmp_path)
    assert problem in str(caught.value)
