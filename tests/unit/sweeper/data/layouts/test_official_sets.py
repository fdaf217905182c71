"""Public datasets import from the shapes in which they are downloaded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import official_sets as official
import pytest

from sweeper.data.faults import errors
from sweeper.data.layouts.registry import read_source
from sweeper.errors import DataError
from sweeper.pipeline.data.importing import check_dataset, import_dataset
from sweeper.pipeline.data.options import ImportOptions

if TYPE_CHECKING:
    from pathlib import Path


def imported(source: Path, target: Path, **options):
    chosen = ImportOptions(processes=1, **options)
    report = import_dataset(source, target / "x.zarr", chosen)
    return report.store, {fault.code for fault in report.faults}


def checked(source: Path, **options):
    dataset, faults, _ = check_dataset(source, ImportOptions(processes=1, **options))
    return dataset, {fault.code for fault in faults}


def test_the_three_parts_of_promise12_are_one_site(tmp_path: Path) -> None:
    dataset, codes = checked(official.promise12(tmp_path / "set"))
    assert {case.domain for case in dataset.cases} == {"PROMISE12"}
    assert [case.case for case in dataset.cases] == [f"PROMISE12_Case{n:02d}" for n in range(3)]
    assert codes == {"site-unknown"}


def test_the_decathlons_prostate_reads_t2_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    source = official.decathlon(tmp_path / "Task05_Prostate")
    dataset, faults, _ = check_dataset(source, ImportOptions(processes=1))
    assert {case.domain for case in dataset.cases} == {"PROSTATE"}
    assert dataset.structures == ("PZ", "TZ")
    assert dataset.modalities == {"PROSTATE": "MR"}
    assert [fault.line() for fault in faults] == [
        "warning [channels-left-out] Task05_Prostate: its images have 2 channels (T2, ADC), of"
        " which only the first is read; choose another with --channel, or several with commas",
        "warning [csv-missing] prostate_patientid.csv: it is missing, so all 3 cases are one site,"
        " PROSTATE; if they are from several sites, create it beside imagesTr with the columns"
        " center,patientid",
    ]


def test_a_channel_is_chosen_by_name_or_number_and_is_another_import(tmp_path: Path) -> None:
    source = official.decathlon(tmp_path / "set")
    t2, _ = imported(source, tmp_path / "t2")
    adc, codes = imported(source, tmp_path / "adc", channel="adc")
    assert (adc.channel, t2.channel) == ("adc", "")
    assert codes == {"csv-missing"}
    assert adc.fingerprint != t2.fingerprint
    same, _ = imported(source, tmp_path / "one", channel="1")
    assert same.fingerprint == adc.fingerprint
    assert import_dataset(
        source, tmp_path / "adc" / "x.zarr", ImportOptions(processes=1, channel="adc")
    ).is_unchanged
    with pytest.raises(DataError, match="already exists, with other files or other options"):
        imported(source, tmp_path / "adc")
    with pytest.raises(DataError, match=r"expected one of 0 \(T2\), 1 \(ADC\)"):
        imported(source, tmp_path / "x", channel="dwi")


def test_two_zones_with_one_name_are_one_structure(tmp_path: Path) -> None:
    source = official.decathlon(tmp_path / "set")
    zones, _ = imported(source, tmp_path / "zones")
    whole, _ = imported(source, tmp_path / "whole", structures={1: "prostate", 2: "prostate"})
    assert whole.structures == ("prostate",)
    assert whole.label_values == {"prostate": (1, 2)}
    sums = [
        sum(int(zones.mask(n, name).sum()) for n in range(zones.n_stored_slices))
        for name in zones.structures
    ]
    assert sum(int(whole.mask(n, "prostate").sum()) for n in range(whole.n_stored_slices)) == sum(
        sums
    )


@pytest.mark.parametrize("csv", [False, True])
def test_nnunet_version_2_imports_with_and_without_a_table_of_sites(
    tmp_path: Path, csv: bool
) -> None:
    source = official.nnunet(tmp_path / "Dataset005_Gland", csv=csv)
    dataset, codes = checked(source)
    assert dataset.structures == ("gland",)
    domains = {case.domain for case in dataset.cases}
    assert domains == ({"D-UCL", "F-HK"} if csv else {"Dataset005_Gland"})
    assert "channels-left-out" in codes
    second = read_source(source, channel="ADC").cases[0]
    assert second.image.name == "gland_000_0001.nrrd"


def test_amos_is_one_site_with_its_organs_unless_a_table_names_two(tmp_path: Path) -> None:
    _, faults, _ = check_dataset(official.amos(tmp_path / "amos22"), ImportOptions(processes=1))
    assert errors(faults) == ()
    mr = {fault.where for fault in faults if fault.code == "image-unlike-ct"}
    assert mr == {"imagesTr/amos_0507.nii.gz", "imagesTr/amos_0508.nii.gz"}


@pytest.mark.parametrize("named", ["RawData", "Abdomen"])
def test_btcvs_raw_data_is_ct_of_the_abdominal_layout(tmp_path: Path, named: str) -> None:
    home = official.btcv(tmp_path)
    dataset, codes = checked(home if named == "RawData" else home.parent)
    assert codes == set()
    assert [(case.case, case.domain) for case in dataset.cases] == [
        ("CT_0001", "CT"),
        ("CT_0002", "CT"),
    ]
    assert dataset.profiles == {"CT": "ct"}


def test_chaos_is_mr_of_the_abdominal_layout_and_its_masks_are_in_place(tmp_path: Path) -> None:
    home = official.chaos(tmp_path / "set")
    dataset, codes = checked(home)
    assert {case.domain for case in dataset.cases} == {"MR"}
    assert dataset.structures == ("liver", "right_kidney", "left_kidney", "spleen")
    assert codes == {"folder-left-out"}
    read = read_source(home).cases[0]
    image, label = read.read_image(), read.read_label()
    assert image.has_geometry
    assert label.array.shape == image.array.shape
    shown = [bool(plane.any()) for plane in label.array[0]]
    assert shown == [False, True, True, False]


def test_labels_named_as_images_are_paired_with_them(tmp_path: Path) -> None:
    source = official.nnunet(tmp_path / "set")
    for file in (source / "labelsTr").iterdir():
        file.rename(file.with_name(file.name.replace(".nrrd", "_0000.nrrd")))
    read = read_source(source)
    assert [case.case for case in read.cases] == ["gland_000", "gland_001", "gland_002"]
    assert errors(read.faults) == ()


def test_a_dataset_json_without_a_usable_name_gives_the_folders(tmp_path: Path) -> None:
    source = official.nnunet(tmp_path / "Dataset 5, gland!")
    facts = json.loads((source / "dataset.json").read_text())
    (source / "dataset.json").write_text(json.dumps(facts | {"name": "/"}))
    assert {case.domain for case in read_source(source).cases} == {"Dataset 5_ gland"}
