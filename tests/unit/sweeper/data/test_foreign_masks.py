"""Masks of other tools are matched by case id and converted to the stored slices."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import fault_sources as sources
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813  (the name its own manual uses)

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
        affine=volume.affine,
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
    mask = read_mask(tmp_path / "m.nii.gz", frame)
    assert not mask.is_regridded
    assert np.array_equal(mask.slices, stored)
    assert not read_mask(tmp_path / "m.nii.gz", frame, labels=[1]).slices.any()
    assert np.array_equal(read_mask(tmp_path / "m.nii.gz", frame, labels=[7]).slices, stored)


def test_a_mask_on_a_larger_grid_is_resampled_to_the_same_position(tmp_path: Path) -> None:
    frame, stored = write_case(tmp_path)
    padded = np.pad(sources.label_array(), ((1, 1), (3, 3), (5, 5)))
    affine = sources.LPS.copy()
    affine[:3, 3] = (sources.LPS @ [-5, -3, -1, 1])[:3]
    sources.write(tmp_path / "m.nii.gz", padded, affine)
    mask = read_mask(tmp_path / "m.nii.gz", frame)
    assert mask.is_regridded
    assert np.array_equal(mask.slices, stored)


def test_a_mask_of_the_same_size_at_another_position_is_moved(tmp_path: Path) -> None:
    frame, stored = write_case(tmp_path)
    affine = sources.LPS.copy()
    affine[:3, 3] = (sources.LPS @ [-2, 0, 0, 1])[:3]  # starts 2 voxels before the case
    sources.write(tmp_path / "m.nii.gz", np.roll(sources.label_array(), 2, axis=2), affine)
    mask = read_mask(tmp_path / "m.nii.gz", frame)
    assert mask.is_regridded
    assert np.array_equal(mask.slices, stored)


def test_unknown_positions_and_damaged_files_are_errors(tmp_path: Path) -> None:
    frame, stored = write_case(tmp_path)
    sources.write(tmp_path / "m.nii.gz", sources.label_array())
    earlier = replace(frame, affine=None)
    with pytest.raises(DataError, match="the position of its case is unknown"):
        read_mask(tmp_path / "m.nii.gz", earlier)
    earlier = replace(earlier, reference_file=tmp_path / "reference.nii.gz")
    assert np.array_equal(read_mask(tmp_path / "m.nii.gz", earlier).slices, stored)
    sources.write(tmp_path / "m.nii.gz", sources.label_array((4, 20, 30)), np.eye(4))
    with pytest.raises(DataError, match="their relative position is unknown"):
        read_mask(tmp_path / "m.nii.gz", replace(frame, has_geometry=False))
    (tmp_path / "bad.nii.gz").write_bytes(b"x")
    with pytest.raises(DataError, match=r"bad\.nii\.gz: it is not a NIfTI file"):
        read_mask(tmp_path / "bad.nii.gz", frame)


def write_values(path: Path, values: np.ndarray) -> Path:
    sources.write(path, values)
    return path


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([0.1, 0.9], np.float32), "it contains 0.1, so it is not a label map"),
        (np.array([0.0, 0.9]), "it contains 0.9, so it is not a label map"),
        (np.array([0.0, np.nan]), "it contains NaN or infinite values"),
        (np.array([0, 2], np.int16), None),
        (np.array([0, 1.0004], np.float32), None),
        (np.array([0, -1], np.int16), "it contains the values -1; name those"),
    ],
)
def test_only_whole_numbers_are_a_label_map(
    tmp_path: Path, values: np.ndarray, message: str | None
) -> None:
    frame, stored = write_case(tmp_path)
    file = write_values(tmp_path / "m.nii.gz", values[sources.label_array()])
    if message is None:
        assert np.array_equal(read_mask(file, frame).slices, stored)
        value = round(float(values[1]))
        assert np.array_equal(read_mask(file, frame, [value]).slices, stored)
    else:
        with pytest.raises(DataError, match=message):
            read_mask(file, frame)


def test_several_values_must_be_named_and_many_are_not_a_label_map(tmp_path: Path) -> None:
    frame, stored = write_case(tmp_path)
    zones = sources.label_array()
    zones[:, 10:] *= 2
    file = write_values(tmp_path / "m.nii.gz", zones)
    with pytest.raises(DataError, match=r"the values 1, 2; name .* --label 2 or --label 1,2"):
        read_mask(file, frame)
    assert np.array_equal(read_mask(file, frame, [1, 2]).slices, stored)
    levels = np.arange(zones.size, dtype=np.int16).reshape(zones.shape) % 256
    file = write_values(tmp_path / "p.nii.gz", levels)
    with pytest.raises(DataError, match="255 different values, so it is not a label map"):
        read_mask(file, frame)


def test_a_mask_whose_orientation_is_lost_is_refused(tmp_path: Path) -> None:
    frame, stored = write_case(tmp_path)
    label = sources.label_array()
    sources.write(tmp_path / "eye.nii.gz", label, np.eye(4))
    sources.write(tmp_path / "codes.nii.gz", label)
    sources.without_codes(tmp_path / "codes.nii.gz")
    sitk.WriteImage(sitk.GetImageFromArray(label), str(tmp_path / "stack.tif"))
    for name in ("eye.nii.gz", "codes.nii.gz", "stack.tif"):
        with pytest.raises(DataError, match=f"{name}: it states no orientation, but its case's"):
            read_mask(tmp_path / name, frame)
        unstated = replace(frame, has_geometry=False)
        assert np.array_equal(read_mask(tmp_path / name, unstated).slices, stored)
    sources.write(tmp_path / "m.nii.gz", label)
    with pytest.raises(DataError, match="it states an orientation, but its case's image does not"):
        read_mask(tmp_path / "m.nii.gz", replace(frame, has_geometry=False))


def test_a_mask_whose_origin_is_lost_or_far_away_is_refused(tmp_path: Path) -> None:
    frame, _ = write_case(tmp_path)
    sitk.WriteImage(sitk.GetImageFromArray(sources.label_array()), str(tmp_path / "m.nii.gz"))
    with pytest.raises(DataError, match="its origin is 0, 0, 0, but that of its case"):
        read_mask(tmp_path / "m.nii.gz", frame)
    far = sources.LPS.copy()
    far[0, 3] += 12
    sources.write(tmp_path / "m.nii.gz", sources.label_array(), far)
    with pytest.raises(DataError, match=r"\d+ % of it is outside the scan of its case"):
        read_mask(tmp_path / "m.nii.gz", frame)


def test_a_segmentation_of_slicer_with_overlapping_layers_is_refused(tmp_path: Path) -> None:
    frame, _ = write_case(tmp_path)
    label = sources.label_array()
    layers = np.stack([label, np.roll(label, 1, axis=2)], axis=-1)
    image = sitk.GetImageFromArray(layers, isVector=True)
    sitk.WriteImage(image, str(tmp_path / "c1.seg.nrrd"))
    masks = find_masks(tmp_path, ["c1"])
    with pytest.raises(DataError, match=r"c1\.seg\.nrrd: it has 2 layers or colours"):
        read_mask(masks["c1"], frame)
