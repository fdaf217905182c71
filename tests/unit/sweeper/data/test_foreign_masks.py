"""Masks of other tools are matched by case id and converted to the stored slices."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import fault_sources as sources
import numpy as np
import pytest

from sweeper.data.foreign_masks import CaseFrame, find_masks, other_volumes, read_mask
from sweeper.data.preprocessing import Preprocessing, prepare_slices
from sweeper.data.volume import read_volume
from sweeper.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = Preprocessing(image_size_px=64)


def write_case(tmp_path: Path) -> tuple[CaseFrame, np.ndarray]:
    """A case's frame, and its stored masks."""
    file = tmp_path / "reference.nii.gz"
    sources.write(file, sources.label_array())
    volume = read_volume(file)
    label = volume.array[0].astype(np.uint8)
    slices = prepare_slices(np.zeros((1, *label.shape)), label, volume.spacing_mm, SETTINGS)
    frame = CaseFrame(
        shape=label.shape,
        spacing_mm=volume.spacing_mm,
        preprocessing=SETTINGS.as_mapping(),
        z=slices.z,
        reference_file=file,
    )
    return frame, slices.label > 0


def test_masks_are_matched_by_case_id_with_and_without_an_ending(tmp_path: Path) -> None:
    for name in ("c1.nii.gz", "deep/c2_pred.nii.gz", "c10_0000.mha", "other.nii", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    masks = find_masks(tmp_path, ["c1", "c2", "c3", "c10"])
    assert masks == {
        "c1": tmp_path / "c1.nii.gz",
        "c2": tmp_path / "deep" / "c2_pred.nii.gz",
        "c10": tmp_path / "c10_0000.mha",
    }
    assert other_volumes(tmp_path, masks) == [tmp_path / "other.nii"]


def test_two_masks_of_a_case_no_mask_and_no_folder_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        find_masks(tmp_path / "x", ["c1"])
    (tmp_path / "y.nii").touch()
    with pytest.raises(
        DataError, match=r"contains 1 volumes, but none is .*, such as c1\.nii\.gz;"
    ):
        find_masks(tmp_path, ["c1"])
    for name in ("c1.nii", "c1_seg.nii.gz"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"case c1 has two masks: .*c1\.nii and .*c1_seg"):
        find_masks(tmp_path, ["c1"])


def test_a_mask_on_the_cases_grid_becomes_exactly_the_stored_masks(tmp_path: Path) -> None:
    frame, stored = write_case(tmp_path)
    sources.write(tmp_path / "m.nii.gz", 7 * sources.label_array())
    mask = read_mask(tmp_path / "m.nii.gz", frame, label=None)
    assert not mask.is_regridded
    assert np.array_equal(mask.slices, stored)
    assert not read_mask(tmp_path / "m.nii.gz", frame, label=1).slices.any()
    assert np.array_equal(read_mask(tmp_path / "m.nii.gz", frame, label=7).slices, stored)


def test_a_mask_on_a_larger_grid_is_resampled_to_the_same_position(tmp_path: Path) -> None:
    frame, stored = write_case(tmp_path)
    padded = np.pad(sources.label_array(), ((1, 1), (3, 3), (5, 5)))
    affine = sources.LPS.copy()
    affine[:3, 3] = (sources.LPS @ [-5, -3, -1, 1])[:3]
    sources.write(tmp_path / "m.nii.gz", padded, affine)
    mask = read_mask(tmp_path / "m.nii.gz", frame, label=None)
    assert mask.is_regridded
    assert np.array_equal(mask.slices, stored)


def test_a_mask_of_the_same_size_at_another_position_is_moved(tmp_path: Path) -> None:
    frame, stored = write_case(tmp_path)
    affine = sources.LPS.copy()
    affine[:3, 3] = (sources.LPS @ [-2, 0, 0, 1])[:3]  # starts 2 voxels before the case
    sources.write(tmp_path / "m.nii.gz", np.roll(sources.label_array(), 2, axis=2), affine)
    mask = read_mask(tmp_path / "m.nii.gz", frame, label=None)
    assert mask.is_regridded
    assert np.array_equal(mask.slices, stored)


def test_another_grid_without_a_reference_and_a_damaged_file_are_errors(tmp_path: Path) -> None:
    frame, _ = write_case(tmp_path)
    sources.write(tmp_path / "m.nii.gz", sources.label_array((4, 20, 30)))
    with pytest.raises(DataError, match="their relative position is unknown"):
        read_mask(tmp_path / "m.nii.gz", replace(frame, reference_file=None), label=None)
    (tmp_path / "bad.nii.gz").write_bytes(b"x")
    with pytest.raises(DataError, match=r"bad\.nii\.gz: it is not a NIfTI file"):
        read_mask(tmp_path / "bad.nii.gz", frame, label=None)
