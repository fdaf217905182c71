"""The CSV layout: paths relative to the file, sites, patients, splits and shared files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fault_sources as sources

from desam_model.types import Split
from sweeper.data.layouts.csv import find_csv, read_csv

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "case,site,image,label,split,patient"


def test_a_row_becomes_a_case_with_paths_beside_the_csv(tmp_path: Path) -> None:
    rows = ["c1,RUNMC,img/1.nii,seg/1.nii,train,p1", "c2,north,img/2.nii,seg/2.nii,,"]
    path = sources.csv_source(tmp_path / "set", rows, HEADER)
    read = read_csv(path)
    assert read.faults == ()
    assert (read.root, read.layout, read.structures) == (path.parent, "csv", ("foreground",))
    first, second = read.cases
    assert (first.case, first.domain, first.patient) == ("c1", "A-ISBI", "p1")
    assert first.image == path.parent / "img" / "1.nii"
    assert first.label == path.parent / "seg" / "1.nii"
    assert first.split is Split.TRAIN
    assert (second.domain, second.patient, second.split) == ("north", "", None)


def test_named_structures_are_stored_in_the_order_of_their_values(tmp_path: Path) -> None:
    path = sources.csv_source(tmp_path, ["c1,a,i.nii,l.nii,,"], HEADER)
    read = read_csv(path, {7: "tumour", 2: "organ"})
    assert read.structures == ("organ", "tumour")
    assert read.cases[0].label_map == {2: 1, 7: 2}


def test_every_spelling_of_a_split_is_read_and_an_unknown_one_is_a_fault(tmp_path: Path) -> None:
    words = ("train", "Training", "val", "VALID", "validation", "test", "hidden")
    rows = [f"c{n},a,{n}.nii,{n}-l.nii,{word}," for n, word in enumerate(words)]
    read = read_csv(sources.csv_source(tmp_path, rows, HEADER))
    train, validation = Split.TRAIN, Split.VALIDATION
    assert [case.split for case in read.cases] == [
        train,
        train,
        validation,
        validation,
        validation,
        Split.TEST,
        None,
    ]
    (fault,) = read.faults
    assert (fault.code, fault.where, fault.case) == ("csv-split", "cases.csv line 8", "c6")


def test_an_image_as_label_and_a_shared_label_are_faults(tmp_path: Path) -> None:
    rows = ["a,n,1.nii,1.nii,,", "b,n,2.nii,l.nii,,", "c,n,3.nii,l.nii,,"]
    faults = read_csv(sources.csv_source(tmp_path, rows, HEADER)).faults
    assert [(fault.code, fault.case) for fault in faults] == [
        ("image-is-label", "a"),
        ("label-shared", "b"),
        ("label-shared", "c"),
    ]


def test_a_folder_is_a_source_only_if_it_has_exactly_one_csv(tmp_path: Path) -> None:
    assert find_csv(tmp_path) is None
    (fault,) = read_csv(tmp_path).faults
    assert fault.code == "csv-missing"
    (tmp_path / "one.csv").touch()
    assert find_csv(tmp_path) == tmp_path / "one.csv"
    (tmp_path / "two.csv").touch()
    assert find_csv(tmp_path) is None
    assert find_csv(tmp_path / "two.csv") == tmp_path / "two.csv"
    (tmp_path / "table.txt").touch()
    assert find_csv(tmp_path / "table.txt") is None
