"""The abdominal layout: both modalities with their own names, label values and profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fault_sources as sources
import pytest

from sweeper.data.layouts.abdominal import (
    ORGANS,
    looks_like_abdominal,
    looks_like_one_modality,
    read_abdominal,
)

if TYPE_CHECKING:
    from pathlib import Path


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_both_modalities_have_their_label_values_and_profiles(tmp_path: Path) -> None:
    read = read_abdominal(sources.abdominal(tmp_path))
    assert read.faults == ()
    assert read.structures == ORGANS
    assert read.profiles == {"CT": "ct", "MR": "mr"}
    by_case = {case.case: case for case in read.cases}
    assert list(by_case) == ["CT_0001", "CT_0002", "MR_0001", "MR_0002"]
    ct, mr = by_case["CT_0001"].label_map, by_case["MR_0002"].label_map
    assert [ct[value] for value in (6, 2, 3, 1)] == [1, 2, 3, 4]
    assert {ct[value] for value in (4, 5, 7, 13)} == {0}  # other organs are background
    assert [mr[value] for value in (63, 126, 189, 252)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("folder", "modality"),
    [("btcv", "CT"), ("SABS", "CT"), ("Synapse", "CT"), ("CHAOST2", "MR"), ("mri", "MR")],
)
def test_a_folder_with_another_name_of_the_modality_is_recognised(
    tmp_path: Path, folder: str, modality: str
) -> None:
    touch(tmp_path / folder, "image_3.nii.gz", "label_3.nii.gz")
    assert looks_like_abdominal(tmp_path)
    assert [case.case for case in read_abdominal(tmp_path).cases] == [f"{modality}_0003"]


def test_names_that_users_give_replace_the_four_organs(tmp_path: Path) -> None:
    touch(tmp_path / "CT", "img0001.nii.gz", "label0001.nii.gz")
    read = read_abdominal(tmp_path, {4: "spleen", 1: "liver"})
    assert read.structures == ("liver", "spleen")
    assert read.cases[0].label_map == {1: 1, 4: 2}


def test_missing_counterparts_and_second_files_of_a_number_are_faults(tmp_path: Path) -> None:
    touch(tmp_path / "CT", "img0001.nii.gz", "label0002.nii.gz", "img0003.nii.gz", "img3.nii")
    touch(tmp_path / "CT", "label0003.nii.gz")
    read = read_abdominal(tmp_path)
    assert [(fault.code, fault.case) for fault in read.faults] == [
        ("case-duplicate", "CT_0003"),
        ("label-missing", "CT_0001"),
        ("image-missing", "CT_0002"),
    ]
    assert [case.case for case in read.cases] == ["CT_0003"]


def test_a_single_modality_is_recognised_by_images_and_labels_together(tmp_path: Path) -> None:
    touch(tmp_path, "img0001.nii.gz")
    assert not looks_like_one_modality(tmp_path)
    touch(tmp_path, "label0001.nii.gz")
    assert looks_like_one_modality(tmp_path)
    assert not looks_like_abdominal(tmp_path)
