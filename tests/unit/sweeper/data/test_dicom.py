"""DICOM series are volumes: sorted by position, one series at a time, with the scanner's frame."""

from __future__ import annotations

import dicom_writer as dicom
import fault_sources as sources
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813  (the name its own manual uses)

from sweeper.data.checks import corner_distance_mm
from sweeper.data.dicom import dicom_files, list_series, read_stack
from sweeper.data.layouts.source import SourceCase
from sweeper.data.volume import files_of, read_volume
from sweeper.data.voxel_files import VolumeError

ARRAY = sources.image_array(5)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", ["IM{:04d}.dcm", "{}", "1.2.840.{}"])
def test_a_folder_is_the_volume_that_a_nifti_of_the_same_slices_is(tmp_path, reverse, name):
    folder = dicom.write_series(tmp_path / "s", ARRAY, reverse=reverse, name=name)
    volume = read_volume(folder)
    same = read_volume(dicom.as_nifti(tmp_path / "same.nii", ARRAY))
    assert np.array_equal(volume.array, same.array)
    assert volume.has_geometry
    assert volume.spacing_mm == same.spacing_mm == (3.0, 1.0, 1.0)
    assert corner_distance_mm(volume, same) < 1e-3
    assert len(files_of(folder)) == len(ARRAY)


def test_a_coronal_series_is_turned_to_the_canonical_frame(tmp_path):
    folder = dicom.write_series(tmp_path / "s", ARRAY, cosines=dicom.CORONAL)
    volume = read_volume(folder)
    by_itk = tmp_path / "itk.nrrd"
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    sitk.WriteImage(reader.Execute(), str(by_itk))
    same = read_volume(by_itk)
    assert volume.array.shape[1:] == (20, 4, 24)
    assert np.array_equal(volume.array, same.array)
    assert corner_distance_mm(volume, same) < 1e-3


def test_slices_of_a_tilted_gantry_keep_their_positions(tmp_path):
    for z in range(3):
        position = "\\".join(f"{v:g}" for v in (-12, -9 + 0.5 * z, -30 + 3 * z))
        tags = {"0020|0032": position, "0020|0013": str(z)}
        dicom.write_series(tmp_path / "s", ARRAY[:1], name=f"{z}.dcm", tags=tags)
    affine = read_stack(tmp_path / "s").affine
    assert affine[:3, 2] == pytest.approx((0, 0.5, 3))


def test_a_file_stands_for_its_series_where_a_folder_has_several(tmp_path):
    dicom.write_series(tmp_path, ARRAY, name="a{}.dcm", uid="1.1")
    dicom.write_series(tmp_path, ARRAY[:3] + 7, name="b{}.dcm", uid="1.2", description="adc")
    assert np.array_equal(read_volume(tmp_path / "b1.dcm").array[0], ARRAY[:3] + 7)
    with pytest.raises(VolumeError) as caught:
        read_volume(tmp_path)
    assert str(caught.value) == (
        "it contains 2 DICOM series, expected one: t2_tse_tra (4 files, a0.dcm ...);"
        " adc (3 files, b0.dcm ...); name a file of the right one instead of the folder"
    )


def test_anonymised_files_with_a_series_each_are_one_series(tmp_path):
    dicom.write_series(tmp_path, ARRAY, uid="1.9.{}")
    assert len(list_series(dicom_files(tmp_path))) == 1
    assert np.array_equal(read_volume(tmp_path).array[0], ARRAY)


def test_a_localiser_in_the_same_series_is_another_series(tmp_path):
    dicom.write_series(tmp_path, ARRAY)
    dicom.write_series(tmp_path, ARRAY[:1], name="loc.dcm", cosines=dicom.CORONAL)
    assert [len(one.files) for one in list_series(dicom_files(tmp_path))] == [4, 1]


def test_rescaled_values_are_hounsfield_units(tmp_path):
    tags = {"0028|1052": "-1024", "0028|1053": "1"}  # the writer stores value + 1024
    folder = dicom.write_series(tmp_path / "s", ARRAY - 1000, modality="CT", tags=tags)
    stored = np.frombuffer((folder / "IM0000.dcm").read_bytes()[-ARRAY[0].nbytes :], np.int16)
    assert np.array_equal(stored, ARRAY[0].ravel() + 24)
    assert np.array_equal(read_volume(folder).array[0], ARRAY - 1000)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            {"drop": (2,)},
            "its slices are 3 to 6 mm apart, expected equal gaps; add what is missing between",
        ),
        (
            {"tags": {"0020|0032": "-12\\-9\\-30"}},
            "4 of its slices share positions, such as IM0000.dcm and IM0001.dcm, so it has several",
        ),
        ({"modality": "RTSTRUCT"}, "it is DICOM RTSTRUCT (contours), not images; convert it"),
    ],
)
def test_slices_that_are_no_volume_are_refused_by_name(tmp_path, change, problem):
    folder = dicom.write_series(tmp_path / "s", sources.image_array(1, (5, 20, 24)), **change)
    if "tags" in change:
        (folder / "IM0004.dcm").unlink()
    with pytest.raises(VolumeError) as caught:
        read_volume(folder)
    assert problem in str(caught.value)


def test_a_damaged_file_is_named(tmp_path):
    folder = dicom.write_series(tmp_path / "s", ARRAY)
    (folder / "IM0002.dcm").write_bytes(bytes(128) + b"DICM" + b"\0" * 50)
    with pytest.raises(VolumeError, match=r"IM0002\.dcm"):
        read_volume(folder)
    with pytest.raises(FileNotFoundError):
        read_volume(folder / "gone.dcm")


@pytest.mark.parametrize("is_named_alike", [True, False])
@pytest.mark.parametrize("reverse", [False, True])
def test_pictures_belong_to_the_files_of_a_series_not_to_its_positions(
    tmp_path, is_named_alike, reverse
):
    mask = sources.label_array()
    image = dicom.write_series(tmp_path / "image", ARRAY, reverse=reverse)
    name = "IM{:04d}.png" if is_named_alike else "liver_GT_{:03d}.png"
    label = dicom.write_pictures(tmp_path / "label", mask, name, reverse=reverse)
    case = SourceCase(case="c", domain="d", image=image, label=label, label_map={1: 1})
    volume = case.read_label()
    assert np.array_equal(volume.array[0], mask)
    assert volume.has_geometry
    assert corner_distance_mm(volume, case.read_image()) == 0


def test_another_number_of_pictures_is_refused(tmp_path):
    image = dicom.write_series(tmp_path / "image", ARRAY)
    label = dicom.write_pictures(tmp_path / "label", sources.label_array()[:3])
    case = SourceCase(case="c", domain="d", image=image, label=label, label_map={1: 1})
    with pytest.raises(VolumeError, match="it has 3 pictures, but its image has 4 DICOM files"):
        case.read_label()


def test_names_in_dicom_fields_are_header_texts(tmp_path):
    folder = dicom.write_series(tmp_path / "s", ARRAY, tags={"0010|0010": "Doe^Jane"})
    assert read_volume(folder).headers == {"PatientName": "Doe^Jane"}
