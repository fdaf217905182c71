"""Volumes come out in one frame, whatever order their file has; formats other than NIfTI too."""

from __future__ import annotations

from itertools import permutations, product

import fault_sources as sources
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813  (the name its own manual uses)

from sweeper.data.checks import corner_distance_mm
from sweeper.data.volume import read_volume
from sweeper.data.voxel_files import VolumeError, natural_key

ARRAY = sources.image_array(3)


@pytest.mark.parametrize("axes", list(permutations(range(3))))
@pytest.mark.parametrize("flips", list(product((1, -1), repeat=3))[::3])
def test_any_axis_order_and_direction_becomes_the_canonical_frame(tmp_path, axes, flips):
    image = nib.Nifti1Image(ARRAY.transpose(2, 1, 0), sources.LPS)
    turn = np.column_stack([axes, flips])
    nib.save(image.as_reoriented(turn), tmp_path / "turned.nii.gz")
    nib.save(image, tmp_path / "straight.nii.gz")
    turned, straight = (read_volume(tmp_path / f"{n}.nii.gz") for n in ("turned", "straight"))
    assert np.array_equal(turned.array[0], ARRAY)
    assert turned.spacing_mm == straight.spacing_mm == (3.0, 1.0, 1.0)
    assert corner_distance_mm(turned, straight) < 1e-6


def test_a_header_without_orientation_is_not_believed(tmp_path):
    sources.write(tmp_path / "eye.nii.gz", ARRAY, np.diag([0.7, 0.7, 3.0, 1.0]))
    volume = read_volume(tmp_path / "eye.nii.gz")
    assert np.array_equal(volume.array[0], ARRAY)
    assert not volume.has_geometry
    assert volume.spacing_mm == (3.0, 0.7, 0.7)


def test_a_nifti_whose_codes_are_zero_states_no_orientation(tmp_path):
    sources.write(tmp_path / "c.nii", ARRAY)
    sources.without_codes(tmp_path / "c.nii")
    volume = read_volume(tmp_path / "c.nii")
    assert np.array_equal(volume.array[0], ARRAY)
    assert not volume.has_geometry
    assert np.array_equal(volume.affine, np.diag([1.0, 1.0, 3.0, 1.0]))


@pytest.mark.parametrize("code", ["qform", "sform"])
def test_one_code_is_enough_to_state_the_orientation(tmp_path, code):
    turned = sources.LPS @ np.diag([-1.0, 1.0, 1.0, 1.0])
    image = nib.Nifti1Image(ARRAY.transpose(2, 1, 0), None)
    getattr(image, f"set_{code}")(turned, code=1)
    other = "sform" if code == "qform" else "qform"
    getattr(image, f"set_{other}")(None, code=0)
    nib.save(image, tmp_path / "c.nii")
    volume = read_volume(tmp_path / "c.nii")
    assert volume.has_geometry
    assert np.array_equal(volume.array[0], ARRAY[:, :, ::-1])


def test_analyze_and_headers_without_axes_state_no_orientation(tmp_path):
    image = nib.AnalyzeImage(ARRAY.transpose(2, 1, 0), None)
    image.header.set_zooms((0.7, 0.8, 3.0))
    nib.save(image, tmp_path / "c.hdr")
    image = sitk.GetImageFromArray(ARRAY)
    image.SetSpacing((0.7, 0.8, 3.0))
    image.SetOrigin((5.0, -6.0, 7.0))
    for name, gone in (("c.mhd", "TransformMatrix"), ("c.nhdr", "space: ")):
        sitk.WriteImage(image, str(tmp_path / name))
        lines = (tmp_path / name).read_text().splitlines(keepends=True)
        assert any(line.startswith(gone) for line in lines)
        text = "".join(line for line in lines if not line.startswith(gone))
        if gone == "space: ":
            text = text.replace("space directions", "space dimension: 3\nspace directions")
        (tmp_path / name).write_text(text)
    for name in ("c.hdr", "c.mhd", "c.nhdr"):
        volume = read_volume(tmp_path / name)
        assert not volume.has_geometry, name
        assert np.array_equal(volume.array[0], ARRAY)
        assert volume.spacing_mm == pytest.approx((3.0, 0.8, 0.7))


@pytest.mark.parametrize("suffix", ["nrrd", "mha", "nii"])
def test_itk_formats_agree_with_nifti(tmp_path, suffix):
    image = sitk.GetImageFromArray(ARRAY)
    image.SetSpacing((0.7, 0.8, 3.0))
    image.SetOrigin((5.0, -6.0, 7.0))
    path = tmp_path / f"volume.{suffix}"
    sitk.WriteImage(image, str(path))
    sitk.WriteImage(image, str(tmp_path / "same.nii.gz"))
    volume, same = read_volume(path), read_volume(tmp_path / "same.nii.gz")
    assert np.array_equal(volume.array[0], ARRAY)
    assert volume.spacing_mm == pytest.approx((3.0, 0.8, 0.7))
    assert corner_distance_mm(volume, same) < 1e-4


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_pictures_are_one_slice_of_square_pixels(tmp_path, suffix):
    plane = ARRAY[0].astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(plane), str(tmp_path / f"p.{suffix}"))
    volume = read_volume(tmp_path / f"p.{suffix}")
    assert np.array_equal(volume.array, plane[None, None])
    assert volume.spacing_mm == (1.0, 1.0, 1.0)
    assert not volume.has_geometry


def test_a_colour_picture_has_three_channels_and_no_alpha(tmp_path):
    colour = np.random.default_rng(0).integers(0, 255, (9, 8, 4)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(colour, isVector=True), str(tmp_path / "c.png"))
    assert np.array_equal(
        read_volume(tmp_path / "c.png").array[:, 0], colour[..., :3].transpose(2, 0, 1)
    )


def test_a_folder_of_pictures_is_a_volume_in_natural_order(tmp_path):
    for index in (10, 9, 1):
        plane = np.full((6, 7), index, np.uint8)
        sitk.WriteImage(sitk.GetImageFromArray(plane), str(tmp_path / f"z{index}.png"))
    assert read_volume(tmp_path).array[0, :, 0, 0].tolist() == [1, 9, 10]


def test_nifti_2_and_scaled_values_are_read(tmp_path):
    image = nib.Nifti2Image(ARRAY.transpose(2, 1, 0), sources.LPS)
    nib.save(image, tmp_path / "two.nii")
    assert np.array_equal(read_volume(tmp_path / "two.nii").array[0], ARRAY)
    scaled = nib.Nifti1Image(ARRAY.transpose(2, 1, 0), sources.LPS)
    scaled.header.set_slope_inter(0.5, 10)
    nib.save(scaled, tmp_path / "scaled.nii.gz")
    assert np.allclose(read_volume(tmp_path / "scaled.nii.gz").array[0], ARRAY * 0.5 + 10)


def test_case_2_comes_before_case_10():
    assert sorted(["Case10", "Case2", "case1"], key=natural_key) == ["case1", "Case2", "Case10"]


@pytest.mark.parametrize("suffix", ["nii", "nrrd", "mha"])
def test_a_file_with_random_bytes_in_its_header_is_a_volume_or_a_volume_error(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(ARRAY), str(path))
    sound = path.read_bytes()
    header = 352 if suffix == "nii" else len(sound) - ARRAY.nbytes if suffix == "mha" else 200
    rng = np.random.default_rng(7)
    refused = 0
    for _ in range(150):
        damaged = bytearray(sound)
        for place in rng.integers(0, header, 3):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_volume(path)
        except VolumeError:
            refused += 1
    assert refused > 10
