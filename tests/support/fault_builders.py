"""One function a fault: each takes an empty folder and makes a source with that one fault."""

from __future__ import annotations

import gzip
import json
import shutil

import dicom_writer as dicom
import fault_sources as sources
import nibabel as nib
import numpy as np
import official_sets as official
import SimpleITK as sitk  # noqa: N813  (the name its own manual uses)
from PIL import Image


def image_without_label(root):
    sources.saml(root)
    (root / "UCL" / "Case01_segmentation.nii.gz").unlink()


def label_without_image(root):
    sources.saml(root)
    (root / "UCL" / "Case01.nii.gz").unlink()


def truncated_image(root):
    file = sources.saml(root) / "UCL" / "Case01.nii.gz"
    file.write_bytes(file.read_bytes()[:-300])


def flipped_byte(root):
    file = sources.saml(root) / "UCL" / "Case01.nii.gz"
    data = bytearray(file.read_bytes())
    data[-6] ^= 1  # in gzip's checksum
    file.write_bytes(bytes(data))


def empty_file(root):
    (sources.saml(root) / "UCL" / "Case01.nii.gz").write_bytes(b"")


def text_named_nifti(root):
    (sources.saml(root) / "UCL" / "Case01.nii.gz").write_bytes(gzip.compress(b"hello" * 200))


def web_page_named_nifti(root):
    (sources.saml(root) / "UCL" / "Case01.nii.gz").write_text(
        "<html>sign in to download</html>" * 20
    )


def damaged_nrrd(root):
    path = sources.csv_sound(root)
    path.write_text(path.read_text().replace("south1.nii.gz", "south1.nrrd"))
    (root / "south1.nrrd").write_bytes(b"NRRD0004\ntype: short\n")


def four_dimensional(root):
    image = nib.Nifti1Image(np.zeros((24, 20, 4, 2), np.int16), sources.LPS)
    nib.save(image, sources.saml(root) / "UCL" / "Case01.nii.gz")


def colour_nifti(root):
    kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    image = nib.Nifti1Image(np.zeros((24, 20, 4), kind), sources.LPS)
    nib.save(image, sources.saml(root) / "UCL" / "Case01.nii.gz")


def complex_image(root):
    array = sources.image_array().astype(np.complex64)
    sources.write(sources.saml(root) / "UCL" / "Case01.nii.gz", array)


def singular_affine(root):
    file = sources.saml(root) / "UCL" / "Case01.nii.gz"
    image = nib.Nifti1Image(sources.image_array(7).transpose(2, 1, 0), None)
    image.header["sform_code"] = 1
    image.header["srow_x"] = image.header["srow_y"] = image.header["srow_z"] = 0
    nib.save(image, file)


def affine_that_loses_an_axis(root):
    image = nib.Nifti1Image(sources.image_array(7).transpose(2, 1, 0), None)
    image.header["sform_code"] = 1
    image.header["srow_x"], image.header["srow_y"] = [1e20, 1e20, 0, 0], [0, 1, 0, 0]
    image.header["srow_z"] = [0, 0, 1, 0]
    nib.save(image, sources.saml(root) / "UCL" / "Case01.nii.gz")


def header_of_an_impossible_size(root):
    file = sources.saml(root) / "UCL" / "Case01.nii.gz"
    raw = bytearray(gzip.decompress(file.read_bytes()))
    raw[42:48] = b"\xff\x7f" * 3  # dim[1..3]: 32767 voxels each
    file.write_bytes(gzip.compress(bytes(raw)))


def nan_in_image(root):
    array = sources.image_array(7).astype(np.float32)
    array[0, 0, :3] = np.nan
    sources.write(sources.saml(root) / "UCL" / "Case01.nii.gz", array)


def infinity_in_image(root):
    array = sources.image_array(7).astype(np.float32)
    array[1, 0, 0] = np.inf
    sources.write(sources.saml(root) / "UCL" / "Case01.nii.gz", array)


def constant_image(root):
    array = np.full((4, 20, 24), 7, np.int16)
    sources.write(sources.saml(root) / "UCL" / "Case01.nii.gz", array)


def exchanged_files(root):
    sources.write(sources.saml(root) / "UCL" / "Case01.nii.gz", sources.label_array(value=2))


def metre_voxels(root):
    affine = sources.LPS.copy()
    affine[:3, :3] /= 1000
    _rewrite_both(root, affine)


def nominal_header(root):
    _rewrite_both(root, np.diag([0.7, 0.7, 3.0, 1.0]))


def sagittal_scan(root):
    affine = np.array([[0, 0, -3.0, 12], [-1.0, 0, 0, 9], [0, 1.0, 0, -30], [0, 0, 0, 1]])
    _rewrite_both(root, affine)


def other_shape(root):
    label = sources.saml(root) / "UCL" / "Case01_segmentation.nii.gz"
    sources.write(label, sources.label_array((4, 20, 22)))


def label_5_mm_off(root):
    affine = sources.LPS.copy()
    affine[2, 3] += 5
    label = sources.saml(root) / "UCL" / "Case01_segmentation.nii.gz"
    sources.write(label, sources.label_array(), affine)


def label_with_other_voxel_size(root):
    affine = sources.LPS.copy()
    affine[0, 0] = -1.01
    label = sources.saml(root) / "UCL" / "Case01_segmentation.nii.gz"
    sources.write(label, sources.label_array(), affine)


def empty_label(root):
    label = sources.saml(root) / "UCL" / "Case01_segmentation.nii.gz"
    sources.write(label, np.zeros((4, 20, 24), np.uint8))


def fractional_label(root):
    label = sources.saml(root) / "UCL" / "Case01_segmentation.nii.gz"
    sources.write(label, sources.label_array().astype(np.float32) * 0.5)


def nan_in_label(root):
    array = sources.label_array().astype(np.float32)
    array[0, 0, 0] = np.nan
    sources.write(sources.saml(root) / "UCL" / "Case01_segmentation.nii.gz", array)


def unknown_label(root):
    label = sources.saml(root) / "UCL" / "Case01_segmentation.nii.gz"
    sources.write(label, sources.label_array(value=4))


def negative_label(root):
    array = sources.label_array().astype(np.int16)
    array[0, 0, 0] = -1
    sources.write(sources.saml(root) / "UCL" / "Case01_segmentation.nii.gz", array)


def label_on_one_slice(root):
    array = sources.label_array()
    array[2:] = 0
    sources.write(sources.saml(root) / "UCL" / "Case01_segmentation.nii.gz", array)


def label_at_the_border(root):
    array = sources.label_array()
    array[1, 0, :] = 1
    sources.write(sources.saml(root) / "UCL" / "Case01_segmentation.nii.gz", array)


def label_that_vanishes(root):
    shape = (4, 600, 600)
    array = np.zeros(shape, np.uint8)
    array[1:3, 300, 300] = 1
    folder = sources.saml(root) / "UCL"
    sources.write(folder / "Case01.nii.gz", sources.image_array(7, shape))
    sources.write(folder / "Case01_segmentation.nii.gz", array)


def same_patient_at_two_sites(root):
    sources.saml(root)
    image = sources.image_array(0)  # the voxels of RUNMC's first case, in another file
    sources.write(root / "UCL" / "Case01.nii.gz", image)


def same_patient_twice_at_a_site(root):
    sources.saml(root, cases=3)
    image = sources.image_array(10)
    sources.write(root / "UCL" / "Case02.nii.gz", image)


def single_case_at_a_site(root):
    sources.saml(root)
    for name in ("Case01", "Case01_segmentation"):
        (root / "UCL" / f"{name}.nii.gz").unlink()


def prostate_set_with_cases_missing(root):
    sources.saml(root, sites=("RUNMC", "BMC", "HCRUDB", "UCL", "BIDMC", "HK"))


def known_site_without_any_label(root):
    for file in (sources.saml(root) / "UCL").glob("*_segmentation.nii.gz"):
        file.unlink()


def unknown_folder_without_any_label(root):
    sources.write(sources.saml(root) / "localisers" / "a.nii.gz", sources.image_array(9))


def volume_outside_any_site(root):
    sources.write(sources.saml(root) / "Case99.nii.gz", sources.image_array(9))


def layout_that_the_source_does_not_have(root):
    return sources.saml(root), "maxstyle"


def abdominal_folder_of_prostates(root):
    return sources.saml(root), "abdominal"


def unknown_site(root):
    sources.saml(root, sites=("RUNMC", "Utrecht"))


def one_name_in_two_formats(root):
    sources.write(sources.saml(root) / "UCL" / "Case01.nii", sources.image_array(9))


def names_that_differ_in_capitals(root):
    sources.write(sources.saml(root) / "UCL" / "case01.nii.gz", sources.image_array(9))


def maxstyle_name_in_two_formats(root):
    folder = sources.maxstyle(root) / "F-HK" / "patient_1"
    sources.write(folder / "label_clipped.nii", sources.label_array())


def nnunet_name_in_two_formats(root):
    path = sources.desam(root) / "imagesTr" / "prostate_001_0000.nii"
    sources.write(path, sources.image_array(9))


def abdominal_number_twice(root):
    path = sources.abdominal(root) / "CT" / "img" / "img2.nii.gz"
    sources.write(path, sources.image_array(9, (4, 40, 40)), sources.THICK)


def abdominal_label_of_black_and_white(root):
    label = np.zeros((4, 40, 40), np.uint8)
    label[1:3, 8:30, 14:26] = 255
    sources.write(sources.abdominal(root) / "MR" / "label_2.nii.gz", label, sources.THICK)


def csv_image_shared(root):
    path = sources.csv_sound(root)
    path.write_text(path.read_text().replace("south1.nii.gz", "south0.nii.gz"))
    return path


def csv_with_nul_bytes(root):
    path = sources.csv_sound(root)
    path.write_text(path.read_text().replace("south1.nii.gz", "south1\0.nii.gz"))
    return path


def csv_site_with_slash(root):
    path = sources.csv_sound(root)
    path.write_text(path.read_text().replace("south1,south", "south1,so/uth"))
    return path


def no_case(root):
    (root / "imagesTr").mkdir(parents=True)
    (root / "labelsTr").mkdir()
    (root / "prostate_patientid.csv").write_text("center,patientid\n")


def patient_folder_without_files(root):
    (sources.maxstyle(root) / "F-HK" / "patient_7").mkdir()


def maxstyle_without_label(root):
    (sources.maxstyle(root) / "F-HK" / "patient_1" / "label_clipped.nii.gz").unlink()


def no_site_csv(root):
    (sources.desam(root) / "prostate_patientid.csv").unlink()


def site_csv_without_center(root):
    (sources.desam(root) / "prostate_patientid.csv").write_text("hospital,patientid\nA-ISBI,1\n")


def site_csv_names_a_stranger(root):
    with (sources.desam(root) / "prostate_patientid.csv").open("a") as file:
        file.write("A-ISBI,77\n")


def site_csv_names_a_case_twice(root):
    with (sources.desam(root) / "prostate_patientid.csv").open("a") as file:
        file.write("D-UCL,1\n")


def site_csv_is_ambiguous(root):
    sources.desam(root)
    for folder, ending in (("imagesTr", "_0000"), ("labelsTr", "")):
        file = root / folder / f"prostate_002{ending}.nii.gz"
        shutil.copy(file, root / folder / f"other_002{ending}.nii.gz")


def case_without_site(root):
    path = sources.desam(root) / "prostate_patientid.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def nnunet_image_without_label(root):
    (sources.desam(root) / "labelsTr" / "prostate_003.nii.gz").unlink()


def organ_missing(root):
    sources.abdominal(root)
    array = np.zeros((4, 40, 40), np.uint8)
    array[1:3, 10:20, 10:20] = 63
    sources.write(root / "MR" / "label_2.nii.gz", array, sources.THICK)


def abdominal_without_label(root):
    (sources.abdominal(root) / "CT" / "label" / "label0002.nii.gz").unlink()


def csv_lacks_columns(root):
    return sources.csv_source(root, ["a,north,a.png"], header="case,site,picture")


def csv_column_twice(root):
    return sources.csv_source(root, ["a,b,n,i,l"], header="case,case,site,image,label")


def csv_empty(root):
    path = sources.csv_source(root, [])
    path.write_text("\n")
    return path


def csv_header_only(root):
    return sources.csv_source(root, [])


def csv_in_another_encoding(root):
    path = sources.csv_sound(root)
    path.write_bytes(path.read_bytes() + "Zoë,north,a,b\n".encode("latin-1"))
    return path


def csv_cell_empty(root):
    path = sources.csv_sound(root)
    path.write_text(path.read_text() + "late,north,,late-label.nii.gz\n")
    return path


def csv_row_too_long(root):
    path = sources.csv_sound(root)
    path.write_text(path.read_text() + "late,north,a.nii.gz,b.nii.gz,train\n")
    return path


def csv_unknown_split(root):
    path = sources.csv_sound(root)
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([f"{head},split", f"{rows[0]},hidden", *(f"{r}," for r in rows[1:])]))
    return path


def csv_split_without_validation(root):
    path = sources.csv_sound(root)
    head, *rows = path.read_text().splitlines()
    splits = ("train", "train", "train", "val")
    lines = [f"{row},{split}" for row, split in zip(rows, splits, strict=True)]
    path.write_text("\n".join([f"{head},split", *lines]))
    return path


def _with_patients(root, patients, **more):
    path = sources.csv_sound(root)
    head, *rows = path.read_text().splitlines()
    columns = {"patient": patients, **more}
    lines = [",".join([head, *columns])]
    lines += [",".join(cells) for cells in zip(rows, *columns.values(), strict=True)]
    path.write_text("\n".join(lines))
    return path


def csv_patient_at_two_sites(root):
    return _with_patients(root, ["anna", "ben", "ben", "cleo"])


def csv_patient_on_both_sides_of_the_split(root):
    splits = ["train", "validation", "train", "validation"]
    return _with_patients(root, ["anna", "anna", "ben", "cleo"], split=splits)


def csv_file_missing(root):
    path = sources.csv_sound(root)
    (root / "south1.nii.gz").unlink()
    return path


def csv_duplicate_case(root):
    path = sources.csv_sound(root)
    path.write_text(path.read_text().replace("south1,south", "south0,south"))
    return path


def csv_image_is_label(root):
    path = sources.csv_sound(root)
    path.write_text(path.read_text().replace("south1-label.nii.gz", "south1.nii.gz"))
    return path


def csv_label_shared(root):
    path = sources.csv_sound(root)
    path.write_text(path.read_text().replace("south1-label", "south0-label"))
    return path


def csv_name_with_slash(root):
    path = sources.csv_sound(root)
    path.write_text(path.read_text().replace("south1,south", "a/b,south"))
    return path


def csv_unknown_suffix(root):
    path = sources.csv_sound(root)
    path.write_text(path.read_text().replace("south1.nii.gz", "south1.mat"))
    (root / "south1.mat").write_bytes(b"MATLAB 5.0" * 40)
    return path


def csv_colour_label(root):
    path = sources.csv_sound(root)
    picture = np.zeros((20, 24, 3), np.uint8)
    picture[5:9, 5:9, 0] = 255
    sitk.WriteImage(sitk.GetImageFromArray(picture, isVector=True), str(root / "drawn.png"))
    grey = sources.image_array(5, (1, 20, 24))[0].astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(grey), str(root / "seen.png"))
    path.write_text(path.read_text() + "late,north,seen.png,drawn.png\n")
    return path


def csv_colour_among_grey(root):
    path = sources.csv_sound(root)
    rng = np.random.default_rng(3)
    colour = rng.integers(0, 255, (20, 24, 3)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(colour, isVector=True), str(root / "seen.png"))
    label = sources.label_array()[1] * 255
    sitk.WriteImage(sitk.GetImageFromArray(label), str(root / "drawn.png"))
    path.write_text(path.read_text() + "late,north,seen.png,drawn.png\n")
    return path


def csv_picture_with_transparency(root):
    path = sources.csv_sound(root)
    picture = np.random.default_rng(3).integers(0, 255, (20, 24, 2)).astype(np.uint8)
    Image.fromarray(picture, mode="LA").save(root / "seen.png")
    sources.write(root / "drawn.nii.gz", sources.label_array()[1:2])
    path.write_text(path.read_text() + "late,north,seen.png,drawn.nii.gz\n")
    return path


def csv_folder_without_pictures(root):
    path = sources.csv_sound(root)
    (root / "stack").mkdir()
    path.write_text(path.read_text() + "late,north,stack,south0-label.nii.gz\n")
    return path


def csv_pictures_of_two_sizes(root):
    path = sources.csv_sound(root)
    (root / "stack").mkdir()
    for index, side in enumerate((20, 22)):
        picture = sources.image_array(index, (1, side, 24))[0].astype(np.uint8)
        sitk.WriteImage(sitk.GetImageFromArray(picture), str(root / "stack" / f"{index}.png"))
    sources.write(root / "late-label.nii.gz", sources.label_array((2, 20, 24)))
    path.write_text(path.read_text() + "late,north,stack,late-label.nii.gz\n")
    return path


def codes_of_the_label_are_zero(root):
    sources.without_codes(sources.saml(root) / "UCL" / "Case01_segmentation.nii.gz")


def codes_of_one_case_are_zero(root):
    folder = sources.saml(root) / "UCL"
    sources.without_codes(folder / "Case01.nii.gz")
    sources.without_codes(folder / "Case01_segmentation.nii.gz")


def _ct(root, low: int):
    """A CSV source of one site whose images have air `low` and water 0."""
    path = sources.csv_sound(root)
    for name in ("north0", "north1"):
        array = sources.image_array(int(name[-1]))
        array[:, :3] = low
        sources.write(root / f"{name}.nii.gz", array)
    return path


def csv_ct_without_modality(root):
    return _ct(root, -1000)


def csv_magnitude_called_ct(root):
    path = _ct(root, 0)
    lines = path.read_text().splitlines()
    rows = [f"{line},{'ct' if line.startswith('north') else ''}" for line in lines[1:]]
    path.write_text("\n".join([f"{lines[0]},modality", *rows]) + "\n")
    return path


def csv_modality_unknown_or_mixed(root):
    path = sources.csv_sound(root)
    lines = path.read_text().splitlines()
    rows = [f"{line},{m}" for line, m in zip(lines[1:], ("CTA", "", "MRI", ""), strict=True)]
    path.write_text("\n".join([f"{lines[0]},modality", *rows]) + "\n")
    return path


def ignored_voxels(root):
    sources.desam(root)
    labels = {"background": 0, "prostate": 1, "ignore": 2}
    (root / "dataset.json").write_text(json.dumps({"labels": labels}))
    label = sources.label_array()
    label[2, :4] = 2
    sources.write(root / "labelsTr" / "prostate_003.nii.gz", label)


def missing_voxel_file(root):
    _as_mhd(root).unlink()


def truncated_voxel_file(root):
    voxels = _as_mhd(root)
    voxels.write_bytes(voxels.read_bytes()[:-1000])


def _as_mhd(root):
    """Case01 of UCL as a MetaImage in two files; returns the file with the voxels."""
    file = sources.saml(root) / "UCL" / "Case01.nii.gz"
    sitk.WriteImage(sitk.ReadImage(str(file)), str(file.parent / "Case01.mhd"))
    file.unlink()
    return file.parent / "Case01.raw"


def _rewrite_both(root, affine):
    folder = sources.saml(root) / "UCL"
    sources.write(folder / "Case01.nii.gz", sources.image_array(7), affine)
    sources.write(folder / "Case01_segmentation.nii.gz", sources.label_array(), affine)


def dicom_slice_missing(root):
    return _with_series(root, drop=(2,))


def dicom_two_series_in_a_folder(root):
    path = _with_series(root)
    dicom.write_series(
        root / "late", sources.image_array(8)[:3], name="adc{}.dcm", uid="9.9", description="adc"
    )
    return path


def dicom_time_points(root):
    path = _with_series(root)
    dicom.write_series(root / "late", sources.image_array(9), name="second{}.dcm")
    return path


def dicom_contours(root):
    return _with_series(root, modality="RTSTRUCT")


def dicom_segmentation_object(root):
    return _with_series(root, modality="SEG")


def dicom_file_damaged(root):
    path = _with_series(root)
    (root / "late" / "IM0001.dcm").write_bytes(bytes(128) + b"DICM" + bytes(40))
    return path


def dicom_file_truncated(root):
    path = _with_series(root)
    file = root / "late" / "IM0001.dcm"
    file.write_bytes(file.read_bytes()[:-400])
    return path


def dicom_text_named_dcm(root):
    path = _with_series(root)
    (root / "late" / "notes.dcm").write_text("no image")
    return path


def dicom_beside_pictures(root):
    path = _with_series(root)
    dicom.write_pictures(root / "late", sources.label_array())
    return path


def dicom_coronal(root):
    return _with_series(root, cosines=dicom.CORONAL, label_as_series=True)


def dicom_label_of_other_positions(root):
    path = _with_series(root, label_as_series=True, spacing=(3.0, 1.0, 1.0))
    dicom.write_series(
        root / "late-label", sources.label_array().astype(np.int16), spacing=(4.0, 1.0, 1.0)
    )
    return path


def dicom_label_of_fewer_slices(root):
    path = _with_series(root, label_as_series=True)
    (root / "late-label" / "IM0000.dcm").unlink()
    return path


def dicom_pictures_of_another_number(root):
    path = _with_series(root)
    dicom.write_pictures(root / "late-label", sources.label_array()[:3])
    path.write_text(path.read_text().replace("late-label.nii.gz", "late-label"))
    return path


def dicom_pictures_of_another_size(root):
    path = _with_series(root)
    dicom.write_pictures(root / "late-label", sources.label_array((4, 10, 24)))
    path.write_text(path.read_text().replace("late-label.nii.gz", "late-label"))
    return path


def dicom_file_of_the_csv_missing(root):
    path = _with_series(root)
    path.write_text(path.read_text().replace("north,late,", "north,late/IM0009.dcm,"))
    return path


def four_dimensional_metaimage(root):
    file = sources.saml(root) / "UCL" / "Case01.nii.gz"
    file.unlink()
    array = np.stack([sources.image_array(n) for n in range(2)])
    image = sitk.GetImageFromArray(array, isVector=False)
    sitk.WriteImage(image, str(file.parent / "Case01.mha"))


def four_dimensional_label(root):
    label = sources.label_array().transpose(2, 1, 0)
    image = nib.Nifti1Image(np.stack([label, label], axis=-1), sources.LPS)
    nib.save(image, sources.saml(root) / "UCL" / "Case01_segmentation.nii.gz")


def layers_of_a_segmentation(root):
    """3D Slicer's `.seg.nrrd` with overlapping segments: one layer per component."""
    file = sources.saml(root) / "UCL" / "Case01_segmentation.nii.gz"
    frame = sitk.ReadImage(str(file))
    label = sources.label_array()
    file.unlink()
    layers = sitk.GetImageFromArray(np.stack([label, label[::-1]], axis=-1), isVector=True)
    layers.CopyInformation(frame)
    sitk.WriteImage(layers, str(file.parent / "Case01_segmentation.nrrd"))


def complex_nrrd(root):
    _nrrd(root, "", sources.image_array().astype(np.complex64))


def nrrd_of_six_axes(root):
    _nrrd(root, "type: short\ndimension: 6\nsizes: 2 2 2 2 2 2\nencoding: raw\nendian: little\n")


def nrrd_of_blocks(root):
    _nrrd(root, "type: block\nblock size: 8\ndimension: 3\nsizes: 9 9 4\nencoding: raw\n")


def metaimage_of_one_axis(root):
    file = sources.saml(root) / "UCL" / "Case01.nii.gz"
    file.unlink()
    text = "NDims = 1\nDimSize = 90\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    (file.parent / "Case01.mha").write_bytes(f"ObjectType = Image\n{text}".encode() + bytes(90))


def nrrd_whose_data_file_is_missing(root):
    file = sources.saml(root) / "UCL" / "Case01.nii.gz"
    sitk.WriteImage(sitk.ReadImage(str(file)), str(file.parent / "Case01.nhdr"))
    file.unlink()
    for voxels in file.parent.glob("Case01.raw*"):
        voxels.unlink()


def analyze_without_its_image(root):
    file = sources.saml(root) / "UCL" / "Case01.nii.gz"
    nib.save(nib.Nifti1Pair(sources.image_array().transpose(2, 1, 0), sources.LPS), root / "a.img")
    file.unlink()
    (root / "a.hdr").rename(file.parent / "Case01.hdr")
    (root / "a.img").unlink()


def affine_of_nan(root):
    file = sources.saml(root) / "UCL" / "Case01.nii.gz"
    image = nib.Nifti1Image(sources.image_array(7).transpose(2, 1, 0), sources.LPS)
    image.header["srow_x"] = np.nan
    image.header["sform_code"] = 1
    with file.open("wb") as opened:
        opened.write(
            gzip.compress(image.header.binaryblock + bytes(4) + np.asarray(image.dataobj).tobytes())
        )


def every_voxel_is_nan(root):
    file = sources.saml(root) / "UCL" / "Case01.nii.gz"
    sources.write(file, np.full((4, 20, 24), np.nan, np.float32))


def label_value_of_sixteen_bits(root):
    file = sources.saml(root) / "UCL" / "Case01_segmentation.nii.gz"
    sources.write(file, sources.label_array().astype(np.uint16) * 300)


def folder_named_as_a_volume(root):
    file = sources.saml(root) / "UCL" / "Case01.nii.gz"
    file.unlink()
    file.mkdir()


def link_to_nowhere(root):
    file = sources.saml(root) / "UCL" / "Case01.nii.gz"
    file.unlink()
    file.symlink_to("gone.nii.gz")


def truncated_picture(root):
    path = _with_pictures(root)
    file = root / "late" / "IM0002.png"
    file.write_bytes(file.read_bytes()[:40])
    return path


def label_of_jpeg(root):
    path = _with_pictures(root)
    folder = root / "late-label"
    for file in [*folder.iterdir()]:
        Image.open(file).point(lambda value: 200 * value).save(file.with_suffix(".jpg"))
        file.unlink()
    return path


def promise12_without_a_raw_file(root):
    (official.promise12(root) / "TrainingData_Part2" / "Case01.raw").unlink()


def promise12_case_in_two_parts(root):
    folder = official.promise12(root) / "TrainingData_Part2"
    for file in [*folder.iterdir()]:
        text = file.read_bytes()
        renamed = file.with_name(file.name.replace("Case01", "Case00"))
        renamed.write_bytes(text.replace(b"Case01", b"Case00"))
        file.unlink()


def chaos_without_a_ground_folder(root):
    shutil.rmtree(official.chaos(root) / "MR" / "2" / "T2SPIR" / "Ground")
    return root / "Train_Sets"


def chaos_with_a_mask_missing(root):
    (official.chaos(root) / "MR" / "2" / "T2SPIR" / "Ground" / "IMG-0002-00001.png").unlink()
    return root / "Train_Sets"


def amos_mr_called_ct(root):
    official.amos(root)


def nnunet_first_channel_missing(root):
    for file in (official.nnunet(root) / "imagesTr").glob("*_0000.nrrd"):
        file.unlink()


def nnunet_case_without_first_channel(root):
    (official.nnunet(root) / "imagesTr" / "gland_001_0000.nrrd").unlink()


def _with_series(root, *, label_as_series=False, **options):
    """The sound CSV with a third case of `north`, whose image is a DICOM series in `late`."""
    path = sources.csv_sound(root)
    array = sources.image_array(33)
    dicom.write_series(root / "late", array, **options)
    if label_as_series:
        mask = sources.label_array().astype(np.int16)
        dicom.write_series(root / "late-label", mask, **options)
    sources.write(root / "late-label.nii.gz", sources.label_array())
    label = "late-label" if label_as_series else "late-label.nii.gz"
    path.write_text(path.read_text() + f"late,north,late,{label}\n")
    return path


def _with_pictures(root):
    """The sound CSV with a third case of `north` in folders of pictures."""
    path = sources.csv_sound(root)
    image = (sources.image_array(34) // 2).astype(np.uint8)
    dicom.write_pictures(root / "late", image)
    dicom.write_pictures(root / "late-label", sources.label_array())
    path.write_text(path.read_text() + "late,north,late,late-label\n")
    return path


def _nrrd(root, header, array=None):
    """Case01 of UCL as NRRD with this header, or of this array."""
    file = sources.saml(root) / "UCL" / "Case01.nii.gz"
    file.unlink()
    path = file.parent / "Case01.nrrd"
    if array is None:
        path.write_bytes(f"NRRD0004\n{header}\n".encode() + bytes(6000))
    else:
        sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
