"""Every file that a volume is read from is found, hashed, and named if it is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fault_sources as sources
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813  (the name its own manual uses)

from sweeper.data.importer import hash_files
from sweeper.data.layouts.source import SourceCase
from sweeper.data.volume import files_of, read_volume
from sweeper.data.voxel_files import VolumeError, voxel_files

if TYPE_CHECKING:
    from pathlib import Path

ARRAY = sources.image_array(3)


def write_itk(path: Path, *, is_compressed: bool = False) -> None:
    image = sitk.GetImageFromArray(ARRAY)
    image.SetSpacing((0.7, 0.8, 3.0))
    image.SetOrigin((5.0, -6.0, 7.0))
    sitk.WriteImage(image, str(path), is_compressed)


@pytest.mark.parametrize(
    ("name", "is_compressed", "voxels"),
    [
        ("c.mhd", False, ("c.raw",)),
        ("c.mhd", True, ("c.zraw",)),
        ("c.nhdr", False, ("c.raw",)),
        ("c.hdr", False, ("c.img",)),
        ("c.mha", False, ()),
        ("c.nrrd", True, ()),
        ("c.nii.gz", True, ()),
    ],
)
def test_the_voxels_of_each_format_belong_to_its_files(tmp_path, name, is_compressed, voxels):
    write_itk(tmp_path / name, is_compressed=is_compressed)
    assert files_of(tmp_path / name) == (tmp_path / name, *(tmp_path / v for v in voxels))
    assert np.array_equal(read_volume(tmp_path / name).array[0], ARRAY)


@pytest.mark.parametrize("name", ["c.mhd", "c.nhdr", "c.hdr"])
def test_a_corrected_voxel_file_changes_the_hash_and_a_missing_one_is_named(tmp_path, name):
    write_itk(tmp_path / name)
    case = SourceCase(
        case="c", domain="a", image=tmp_path / name, label=tmp_path / name, label_map={1: 1}
    )
    before = hash_files(case)
    (voxels,) = voxel_files(tmp_path / name)
    changed = bytearray(voxels.read_bytes())
    changed[40] ^= 1
    voxels.write_bytes(changed)
    assert hash_files(case) != before
    voxels.write_bytes(changed[:50])
    with pytest.raises(VolumeError, match="truncated or damaged"):
        read_volume(tmp_path / name)
    voxels.unlink()
    assert hash_files(case) == ""
    with pytest.raises(VolumeError, match=rf"voxels are in {voxels.name}, which does not exist"):
        read_volume(tmp_path / name)


def test_voxels_in_one_file_per_slice_are_found_and_read(tmp_path):
    for name in ("c.mhd", "l.mhd", "c.nhdr"):
        write_itk(tmp_path / name)
    (tmp_path / "c.raw").unlink()
    for index, plane in enumerate(ARRAY, start=1):
        (tmp_path / f"s{index:02d}.raw").write_bytes(plane.tobytes())
    slices = tuple(tmp_path / f"s{index:02d}.raw" for index in range(1, 5))
    listed = "LIST\n" + "\n".join(file.name for file in slices)
    for name, named in (
        ("c.mhd", "s%02d.raw 1 4 1"),
        ("l.mhd", listed),
        ("c.nhdr", "s%02d.raw 1 4 1"),
    ):
        text = (tmp_path / name).read_text()
        voxels = "l.raw" if name == "l.mhd" else "c.raw"
        (tmp_path / name).write_text(text.replace(voxels, named))
        assert voxel_files(tmp_path / name) == slices
        assert np.array_equal(read_volume(tmp_path / name).array[0], ARRAY)


def test_nifti_in_two_files_has_the_frame_of_one_file(tmp_path):
    nib.save(nib.Nifti1Image(ARRAY.transpose(2, 1, 0), sources.LPS), tmp_path / "one.nii")
    nib.save(nib.Nifti1Pair(ARRAY.transpose(2, 1, 0), sources.LPS), tmp_path / "two.hdr")
    one, two = read_volume(tmp_path / "one.nii"), read_volume(tmp_path / "two.hdr")
    assert np.array_equal(one.array, two.array)
    assert np.array_equal(one.affine, two.affine)
    assert two.has_geometry


@pytest.mark.parametrize("text", ["", "ElementDataFile =", "data file:", "\xff\x00binary"])
@pytest.mark.parametrize("suffix", ["mhd", "mha", "nhdr", "nrrd"])
def test_a_damaged_header_names_no_voxel_files_and_is_an_error(tmp_path, text, suffix):
    path = tmp_path / f"c.{suffix}"
    path.write_text(text, encoding="latin-1")
    assert voxel_files(path) == ()
    with pytest.raises(VolumeError):
        read_volume(path)
