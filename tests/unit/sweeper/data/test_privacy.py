"""Headers and names that may identify a person are listed; harmless ones are not."""

from __future__ import annotations

import fault_sources as sources
import nibabel as nib
import pytest
import SimpleITK as sitk  # noqa: N813  (the name its own manual uses)

from sweeper.data.privacy import SUSPICIOUS_PATH, salted
from sweeper.errors import DataError
from sweeper.pipeline.data.importing import check_dataset, import_dataset
from sweeper.pipeline.data.options import ImportOptions

ONE = ImportOptions(processes=1)


def mark(root, **header):
    file = sources.saml(root) / "UCL" / "Case01.nii.gz"
    image = nib.Nifti1Image(sources.image_array(7).transpose(2, 1, 0), sources.LPS)
    for key, value in header.items():
        image.header[key] = value
    nib.save(image, file)


@pytest.mark.parametrize(
    ("field", "text"),
    [("descrip", "MUELLER^HANS 1950"), ("db_name", "PAT-00417"), ("aux_file", "/home/kim/p7")],
)
def test_a_header_that_may_name_a_person_is_listed(tmp_path, field, text):
    mark(tmp_path, **{field: text.encode()})
    _, faults, headers = check_dataset(tmp_path, ONE)
    assert headers == (f"UCL/Case01.nii.gz: {field}: {text!r}",)
    assert faults == ()


def test_a_header_extension_is_listed_by_its_kind_and_not_by_its_content(tmp_path):
    file = sources.saml(tmp_path) / "UCL" / "Case01.nii.gz"
    image = nib.Nifti1Image(sources.image_array(7).transpose(2, 1, 0), sources.LPS)
    for kind in ("comment", "dicom"):
        image.header.extensions.append(nib.nifti1.Nifti1Extension(kind, b"Mueller^Hans"))
    nib.save(image, file)
    assert check_dataset(tmp_path, ONE)[2] == (
        "UCL/Case01.nii.gz: extension 1: 'comment block of 32 bytes'",
        "UCL/Case01.nii.gz: extension 2: 'DICOM block of 32 bytes'",
    )


@pytest.mark.parametrize("suffix", ["nrrd", "mha"])
def test_of_itks_files_only_what_a_person_wrote_is_listed(tmp_path, suffix):
    image = sitk.GetImageFromArray(sources.image_array(1))
    image.SetMetaData("PatientName", "Hans")
    sitk.WriteImage(image, str(tmp_path / f"i.{suffix}"))
    sitk.WriteImage(sitk.GetImageFromArray(sources.label_array()), str(tmp_path / f"l.{suffix}"))
    path = sources.csv_source(tmp_path, [f"a,here,i.{suffix},l.{suffix}"])
    assert check_dataset(path, ONE)[2] == (f"i.{suffix}: PatientName: 'Hans'",)


def test_header_texts_are_listed_again_by_an_import_that_goes_on_but_lie_nowhere(tmp_path):
    mark(tmp_path / "src", descrip=b"MUELLER^HANS 1950")

    def stop(_what, done, _total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_dataset(tmp_path / "src", tmp_path / "x.zarr", ONE, stop)
    parts = [f for f in tmp_path.rglob("*") if f.is_file() and "src" not in f.parts]
    assert len([f for f in parts if f.suffix == ".npz"]) == 4
    assert not any(b"MUELLER" in file.read_bytes() for file in parts)
    report = import_dataset(tmp_path / "src", tmp_path / "x.zarr", ONE)
    assert (report.n_resumed, report.headers) == (
        4,
        ("UCL/Case01.nii.gz: descrip: 'MUELLER^HANS 1950'",),
    )
    stored = [f for f in (tmp_path / "x.zarr").rglob("*") if f.is_file()]
    assert not any(b"MUELLER" in file.read_bytes() for file in stored)


def test_another_salt_is_another_import(tmp_path):
    source = sources.saml(tmp_path / "src")
    import_dataset(source, tmp_path / "x.zarr", ImportOptions(processes=1, salt="pepper"))
    with pytest.raises(DataError, match="with other files or other options"):
        import_dataset(source, tmp_path / "x.zarr", ImportOptions(processes=1, salt="chili"))


@pytest.mark.parametrize(
    "text", ["", "FSL5.0", "TE=1.2e+02;Time=0.000", "ITK 5.3", "SPM12 - coregistered"]
)
def test_what_tools_write_is_not_listed(tmp_path, text):
    mark(tmp_path, descrip=text.encode())
    assert check_dataset(tmp_path, ONE)[2] == ()


@pytest.mark.parametrize(
    ("name", "is_suspicious"),
    [
        ("amos_0001_0000.nii.gz", False),
        ("case_2021-03-04_t2", True),
        ("s19991231", True),
        ("UCL/Case01.nii.gz", False),
        ("A-ISBI/patient_12/t2.nii.gz", False),
        ("x/1951-03-12_t2.nii.gz", True),
        ("x/19510312.nii.gz", True),
        ("x/Mueller^Hans.nii.gz", True),
        ("x/mrn00412345.nii.gz", True),
    ],
)
def test_dates_record_numbers_and_names_in_paths_are_listed(name, is_suspicious):
    assert bool(SUSPICIOUS_PATH.search(name)) is is_suspicious


def test_a_salted_store_keeps_neither_ids_nor_names_nor_folders(tmp_path):
    source = sources.saml(tmp_path / "Hans", cases=3)
    (source / "UCL" / "Case02.nii.gz").write_bytes(b"")
    options = ImportOptions(processes=1, salt="pepper", skip_bad=True)
    store = import_dataset(source, tmp_path / "s.zarr", options).store
    text = (store.path / "zarr.json").read_text()
    assert "Case0" not in text
    assert "Hans" not in text
    assert "pepper" not in text
    assert store.cases[0].case == f"A-ISBI_{salted('A-ISBI_Case00', 'pepper')}"
    assert salted("a", "pepper") != salted("a", "salt")
    other = import_dataset(
        source, tmp_path / "t.zarr", ImportOptions(processes=1, salt="x", skip_bad=True)
    )
    assert other.store.fingerprint != store.fingerprint
