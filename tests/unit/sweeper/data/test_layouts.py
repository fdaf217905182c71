"""Each layout is recognised by its marker files and read by names, never by character positions."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import fault_sources as sources
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813  (the name its own manual uses)

from desam_model.types import Split
from sweeper.data.layouts import registry
from sweeper.data.layouts.registry import read_source
from sweeper.errors import DataError
from sweeper.pipeline.data.importing import import_dataset
from sweeper.pipeline.data.options import ImportOptions


@pytest.mark.parametrize("layout", ["saml", "maxstyle", "desam", "abdominal"])
def test_a_folder_is_recognised_by_its_marker_files(tmp_path, layout):
    assert read_source(getattr(sources, layout)(tmp_path)).layout == layout


def test_a_csv_is_recognised_as_a_file_and_as_the_only_one_of_a_folder(tmp_path):
    path = sources.csv_sound(tmp_path)
    assert read_source(path).layout == read_source(tmp_path).layout == "csv"


def test_saml_folders_have_aliases_and_any_case_of_segmentation(tmp_path):
    sources.saml(tmp_path, sites=("RUNMC", "BMC", "HCRUDB", "HK", "BIDMC", "UCL"))
    for file in (tmp_path / "BMC").glob("*_segmentation*"):
        file.rename(file.with_name(file.name.replace("_seg", "_Seg")))
    found = read_source(tmp_path)
    assert found.faults == ()
    assert sorted({case.domain for case in found.cases}) == [
        "A-ISBI",
        "B-ISBI_1.5",
        "C-I2CVB",
        "D-UCL",
        "E-BIDMC",
        "F-HK",
    ]
    assert found.cases[0].label_map == {1: 1, 2: 1}


def test_maxstyle_leaves_the_seventh_site_out(tmp_path):
    sources.maxstyle(tmp_path, sites=("A-ISBI", "G-MedicalDecathlon"))
    assert [case.case for case in read_source(tmp_path).cases] == [
        "A-ISBI_patient_0",
        "A-ISBI_patient_1",
    ]


def test_desam_takes_sites_and_order_from_the_csv(tmp_path):
    found = read_source(sources.desam(tmp_path))
    assert [(c.case, c.domain) for c in found.cases] == [
        ("prostate_004", "D-UCL"),
        ("prostate_003", "A-ISBI"),
        ("prostate_002", "D-UCL"),
        ("prostate_001", "A-ISBI"),
    ]


def test_desam_ids_may_be_longer_or_whole_names(tmp_path):
    sources.desam(tmp_path, cases=2)
    for file in [*tmp_path.rglob("prostate_*.nii.gz")]:
        file.rename(file.with_name(file.name.replace("prostate_", "patient_1000")))
    (tmp_path / "prostate_patientid.csv").write_text(
        "\ufeffpatientid;center\n1000001;runmc\npatient_1000002;hk\n", encoding="utf-8"
    )
    found = read_source(tmp_path)
    assert [(c.case, c.domain) for c in found.cases] == [
        ("patient_1000001", "A-ISBI"),
        ("patient_1000002", "F-HK"),
    ]


@pytest.mark.parametrize(
    "labels", [{"background": 0, "gland": 2}, {"0": "background", "2": "gland"}]
)
def test_nnunet_names_of_both_versions_name_the_structures(tmp_path, labels):
    sources.desam(tmp_path)
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    found = read_source(tmp_path)
    assert found.structures == ("gland",)
    assert found.cases[0].label_map == {2: 1}


def test_desam_is_found_below_its_work_folder(tmp_path):
    sources.desam(tmp_path / "raw_data")
    assert len(read_source(tmp_path).cases) == 4


def test_abdominal_modalities_have_their_own_label_values_and_profiles(tmp_path):
    found = read_source(sources.abdominal(tmp_path))
    ct, mr = (next(c for c in found.cases if c.domain == d) for d in ("CT", "MR"))
    assert (ct.case, mr.case) == ("CT_0001", "MR_0001")
    assert [ct.label_map[v] for v in (6, 2, 3, 1, 7)] == [1, 2, 3, 4, 0]
    assert [mr.label_map[v] for v in (63, 126, 189, 252)] == [1, 2, 3, 4]
    assert found.profiles == {"CT": "ct", "MR": "mr"}


def test_a_csv_may_give_splits_and_names_of_structures(tmp_path):
    path = sources.csv_sound(tmp_path)
    head, *rows = path.read_text().splitlines()
    path.write_text(
        "\n".join(
            [
                f"{head},Split",
                *(f"{r},{s}" for r, s in zip(rows, ("val", "train", "", "Train"), strict=True)),
            ]
        )
    )
    found = read_source(path, structures={2: "tumour", 1: "organ"})
    assert found.structures == ("organ", "tumour")
    assert [c.split for c in found.cases] == [Split.VALIDATION, Split.TRAIN, None, Split.TRAIN]


def test_two_dimensional_pictures_are_cases_through_a_csv(tmp_path):
    rows = []
    for index in range(2):
        image, label = sources.image_array(index)[1] // 2, sources.label_array()[1] * 255
        sitk.WriteImage(
            sitk.GetImageFromArray(image.astype("uint8")), str(tmp_path / f"{index}.png")
        )
        sitk.WriteImage(sitk.GetImageFromArray(label), str(tmp_path / f"{index}-l.tif"))
        rows.append(f"p{index},skin,{index}.png,{index}-l.tif")
    found = read_source(sources.csv_source(tmp_path, rows))
    assert [c.case for c in found.cases] == ["p0", "p1"]


@pytest.mark.parametrize(
    ("make", "layout", "line"),
    [
        (lambda r: r / "gone", "auto", "does not exist; name a folder or a CSV file with images"),
        (lambda r: r, "auto", "has no known layout"),
        (
            sources.saml,
            "nrrd",
            "layout is 'nrrd', expected auto, desam, maxstyle, saml, abdominal, csv",
        ),
        (sources.csv_sound, "saml", "is a file; layout saml needs a folder, so name the folder"),
        (
            lambda r: sources.saml(sources.desam(r)),
            "auto",
            "fits several layouts, desam and saml; name one with --layout",
        ),
    ],
)
def test_a_source_that_fits_no_layout_is_refused_in_one_line(tmp_path, make, layout, line):
    with pytest.raises(DataError) as caught:
        read_source(make(tmp_path), layout)
    assert line in str(caught.value)


def dicom_without_suffix(root):
    root.mkdir(parents=True)
    (root / "IM0001").write_bytes(bytes(128) + b"DICM" + bytes(9))
    return root


def two_csv_files(root):
    sources.csv_sound(root)
    (root / "more.csv").write_text("case,site,image,label\n")
    return root


def archive(root):
    root.mkdir()
    (root / "data.zip").write_bytes(b"PK")
    return root / "data.zip"


def one_volume(root):
    return sources.saml(root) / "UCL" / "Case00.nii.gz"


def empty_folder(root):
    root.mkdir()
    return root


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (
            lambda r: sources.saml(r / "inner").parent,
            "folder inner looks like layout saml; name",
        ),
        (lambda r: sources.maxstyle(r / "reorganized").parent, "looks like layout maxstyle; name"),
        (lambda r: sources.saml(r) / "UCL", "it is one site of layout saml; name"),
        (lambda r: sources.abdominal(r) / "CT", "it is one site of layout abdominal; name"),
        (
            lambda r: (sources.abdominal(r) / "CT").rename(r.parent / "Training"),
            "it looks like one modality of layout abdominal; rename the folder to CT (BTCV) or MR",
        ),
        (dicom_without_suffix, "it contains DICOM files; a table of its images and labels is"),
        (two_csv_files, "it contains 2 CSV files with cases; name one of them"),
        (archive, "it is an archive; unpack it and name the folder"),
        (one_volume, "it is a single volume; name the folder that contains all sites"),
        (empty_folder, "has no known layout; it is empty"),
    ],
)
def test_the_error_for_a_near_miss_guesses_what_was_meant(tmp_path, make, line):
    with pytest.raises(DataError) as caught:
        read_source(make(tmp_path / "set"))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_abdominal_labels_with_other_values_are_named_by_the_user(tmp_path):
    found = read_source(
        sources.abdominal(tmp_path), structures={1: "liver", 2: "right_kidney", 4: "spleen"}
    )
    assert found.structures == ("liver", "right_kidney", "spleen")
    assert {tuple(c.label_map.items()) for c in found.cases} == {((1, 1), (2, 2), (4, 3))}


def test_a_file_that_is_no_csv_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match="is not a CSV file"):
        read_source(tmp_path / "notes.txt")


def test_structures_out_of_place_are_refused(tmp_path, monkeypatch):
    fixed = replace(registry.layouts()["saml"], names_structures=False)
    monkeypatch.setattr(registry, "layouts", lambda: {"saml": fixed})
    with pytest.raises(DataError, match="layout saml has fixed structures; remove --structures"):
        read_source(sources.saml(tmp_path), structures={1: "gland"})


@pytest.mark.parametrize("layout", ["saml", "maxstyle", "desam", "csv_sound", "abdominal"])
def test_three_labels_are_three_structures_in_every_layout(tmp_path, layout):
    source = getattr(sources, layout)(tmp_path / "src")
    folder = source if source.is_dir() else source.parent
    files = [file.relative_to(folder) for file in folder.rglob("*.nii.gz")]
    labels = [folder / file for file in files if re.search("seg|label", str(file))]
    for file in labels:
        shape = nib.load(file).shape[::-1]
        label = np.zeros(shape, np.uint8)
        for value in (1, 2, 3):
            label[1:, 4:-4, 4 * value : 4 * value + 4] = value
        sources.write(file, label, nib.load(file).affine)
    options = ImportOptions(processes=1, structures={1: "gland", 2: "zone", 3: "lesion"})
    report = import_dataset(source, tmp_path / "x.zarr", options)
    assert report.store.structures == ("gland", "zone", "lesion")
    for case in report.store.cases:
        assert all(any(case.foreground[name]) for name in report.store.structures)
        seen = np.unique(report.store.case_labels(case))
        assert seen.tolist() == [0, 1, 2, 3]
