"""A mask lies on its image's grid: any axis order, any format, 2-D and 3-D."""

from __future__ import annotations

from itertools import permutations, product

import fault_sources as sources
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813  (the name its own manual uses)

from sweeper.data.mask_file import write_mask
from sweeper.data.volume import read_volume

ARRAY = sources.image_array(3)
BRIGHT = int(np.median(ARRAY))


def written(image, folder):
    """The mask of the bright voxels, written as that of the image."""
    volume = read_volume(image)
    folder.mkdir(exist_ok=True)
    return write_mask((volume.array[0] > BRIGHT).astype(np.uint8), image, volume, folder)


@pytest.mark.parametrize("axes", list(permutations(range(3))))
@pytest.mark.parametrize("flips", list(product((1, -1), repeat=3))[::3])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_the_mask_lies_on_the_files_own_voxels(tmp_path, axes, flips, suffix):
    straight = nib.Nifti1Image(ARRAY.transpose(2, 1, 0), sources.LPS)
    turned = straight.as_reoriented(np.column_stack([axes, flips]))
    turned.header["descrip"] = b"Jane Doe"
    path = tmp_path / "case.nii.gz"
    nib.save(turned, path)
    if suffix == ".nrrd":
        sitk.WriteImage(sitk.ReadImage(str(path)), str(tmp_path / "case.nrrd"))
        path = tmp_path / "case.nrrd"
    mask = written(path, tmp_path / "out")
    assert mask.name == path.name
    image, got = sitk.ReadImage(str(path)), sitk.ReadImage(str(mask))
    assert got.GetSize() == image.GetSize()
    assert np.allclose(got.GetOrigin(), image.GetOrigin(), atol=1e-4)
    assert np.allclose(got.GetDirection(), image.GetDirection())
    assert np.allclose(got.GetSpacing(), image.GetSpacing())
    expected = sitk.GetArrayFromImage(image) > BRIGHT
    assert np.array_equal(sitk.GetArrayFromImage(got), expected.astype(np.uint8))
    assert b"Jane" not in (
        mask.read_bytes() if suffix == ".nrrd" else nib.load(mask).header.binaryblock
    )


def test_header_codes_units_and_a_trailing_axis_are_the_images(tmp_path):
    affine = sources.LPS.copy()
    image = nib.Nifti1Image(ARRAY.transpose(2, 1, 0)[..., None], affine)
    image.set_sform(affine, code=2)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, tmp_path / "case.nii")
    mask = nib.load(written(tmp_path / "case.nii", tmp_path / "out"))
    assert mask.shape == image.shape
    assert mask.get_data_dtype() == np.uint8
    assert (int(mask.header["sform_code"]), int(mask.header["qform_code"])) == (2, 1)
    assert mask.header.get_xyzt_units() == ("mm", "sec")
    assert set(np.unique(np.asanyarray(mask.dataobj))) == {0, 1}


def test_a_volume_without_orientation_keeps_its_order(tmp_path):
    sources.write(tmp_path / "eye.nii.gz", ARRAY, np.diag([0.7, 0.7, 3.0, 1.0]))
    mask = nib.load(written(tmp_path / "eye.nii.gz", tmp_path / "out"))
    assert np.array_equal(np.asanyarray(mask.dataobj), ARRAY.transpose(2, 1, 0) > BRIGHT)


@pytest.mark.parametrize(("suffix", "ending"), [("png", "png"), ("tif", "tif"), ("jpg", "png")])
def test_pictures_are_black_and_white_and_never_jpeg(tmp_path, suffix, ending):
    plane = (ARRAY[0] > BRIGHT).astype(np.uint8) * 200
    picture = tmp_path / f"p.{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(plane), str(picture))
    volume = read_volume(picture)
    (tmp_path / "out").mkdir()
    path = write_mask((volume.array[0] > 100).astype(np.uint8), picture, volume, tmp_path / "out")
    assert path.name == f"p.{ending}"
    got = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    assert got.shape == plane.shape
    assert np.array_equal(got, (volume.array[0, 0] > 100) * 255)


def test_a_folder_of_pictures_gets_a_folder_of_masks(tmp_path):
    source = tmp_path / "stack"
    source.mkdir()
    for z in (1, 2, 10):
        plane = np.full((8, 9), z, np.uint8)
        sitk.WriteImage(sitk.GetImageFromArray(plane), str(source / f"s{z}.png"))
    volume = read_volume(source)
    (tmp_path / "out").mkdir()
    path = write_mask((volume.array[0] == 10).astype(np.uint8), source, volume, tmp_path / "out")
    assert sorted(f.name for f in path.iterdir()) == ["s1.png", "s10.png", "s2.png"]
    assert read_volume(path / "s10.png").array.min() == 255
    assert read_volume(path / "s2.png").array.max() == 0


def test_a_flat_mha_keeps_its_grid(tmp_path):
    image = sitk.GetImageFromArray(ARRAY[0])
    image.SetSpacing((0.5, 0.25))
    image.SetOrigin((3.0, 4.0))
    sitk.WriteImage(image, str(tmp_path / "flat.mha"))
    got = sitk.ReadImage(str(written(tmp_path / "flat.mha", tmp_path / "out")))
    assert (got.GetSpacing(), got.GetOrigin()) == ((0.5, 0.25), (3.0, 4.0))
    assert np.array_equal(sitk.GetArrayFromImage(got), ARRAY[0] > BRIGHT)
