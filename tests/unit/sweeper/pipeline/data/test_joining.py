"""Datasets of one workspace become one, if they fit; the result is that of a single import."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fault_sources as sources
import pytest

from sweeper.cli import main
from sweeper.errors import DataError
from sweeper.pipeline.data.exporting import export_dataset
from sweeper.pipeline.data.importing import import_dataset
from sweeper.pipeline.data.joining import merge_datasets
from sweeper.pipeline.data.options import ImportOptions
from sweeper.store.dataset.store import DatasetStore
from sweeper.store.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path


def hospital(workspace: Workspace, site: str, seed: int = 0, cases: int = 3, **options: object):
    """A dataset named after its only site, whose scans differ from those of other seeds."""
    root = workspace.root.parent / f"source-{site}-{seed}"
    for index in range(cases):
        image = sources.image_array(10 * seed + index)
        sources.write(root / site / f"Case{index:02d}.nii.gz", image)
        sources.write(root / site / f"Case{index:02d}_segmentation.nii.gz", sources.label_array())
    chosen = ImportOptions(processes=1, **options)  # type: ignore[arg-type]
    return import_dataset(root, workspace.datasets / f"{site.lower()}.zarr", chosen).store


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "ws")


def test_two_hospitals_merged_are_the_dataset_of_one_import(
    workspace: Workspace, tmp_path: Path
) -> None:
    hospital(workspace, "RUNMC", 0)
    hospital(workspace, "UCL", 1)
    both = sources.saml(tmp_path / "both", cases=3)
    at_once = import_dataset(both, tmp_path / "at-once.zarr", ImportOptions(processes=1)).store
    merged, is_new = merge_datasets(workspace, ["ucl", "runmc"], "all")
    assert is_new
    assert merged.fingerprint == at_once.fingerprint
    assert merged.scan_fingerprint == at_once.scan_fingerprint
    assert [case.case for case in merged.cases] == [case.case for case in at_once.cases]
    assert [case.start for case in merged.cases] == [case.start for case in at_once.cases]
    assert merged.split_rule == at_once.split_rule
    assert merged.damaged_cases() == ()
    again, is_new = merge_datasets(workspace, ["runmc", "ucl"], "all")
    assert (again.fingerprint, is_new) == (merged.fingerprint, False)
    with pytest.raises(DataError, match="dataset all was merged, so its cases are in several"):
        export_dataset(merged, tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"layout": "saml", "label_resize": "released"},
            "A-ISBI of runmc and D-UCL of ucl were prepared differently (label_resize nearest and"
            " released); import one of them again with the options of the other",
        ),
        ({"is_synthetic": True}, "have different data (real, synthetic); import one of them"),
    ],
)
def test_datasets_that_were_prepared_differently_are_refused(
    workspace: Workspace, options: dict[str, object], problem: str
) -> None:
    hospital(workspace, "RUNMC", 0)
    hospital(workspace, "UCL", 1, **options)
    with pytest.raises(DataError) as caught:
        merge_datasets(workspace, ["runmc", "ucl"], "all")
    assert problem in str(caught.value)
    assert not (workspace.datasets / "all.zarr").exists()


def test_structures_of_other_names_are_refused(workspace: Workspace, tmp_path: Path) -> None:
    hospital(workspace, "RUNMC", 0)
    table = sources.csv_sound(tmp_path / "csv")
    import_dataset(table, workspace.datasets / "csv.zarr", ImportOptions(processes=1))
    with pytest.raises(DataError, match=r"different structures \(prostate = 1, foreground = 1\)"):
        merge_datasets(workspace, ["runmc", "csv"], "all")


def test_a_shared_case_patient_or_scan_is_refused_by_name(
    workspace: Workspace, tmp_path: Path
) -> None:
    header = "case,site,image,label,patient"
    for number, name in enumerate(("one", "two", "three", "four")):
        folder = tmp_path / name
        seed = 0 if name == "two" else number
        sources.write(folder / "i.nii.gz", sources.image_array(seed))
        sources.write(folder / "l.nii.gz", sources.label_array())
        case = "c" if name in ("one", "three") else f"c-{name}"
        patient = "anna" if name in ("one", "four") else f"p-{name}"
        row = f"{case},site-{name},i.nii.gz,l.nii.gz,{patient}"
        table = sources.csv_source(folder, [row], header)
        import_dataset(table, workspace.datasets / f"{name}.zarr", ImportOptions(processes=1))
    for other, what in (
        ("two", "c and c-two are the same scan; remove it from one source"),
        ("three", "case c is in both; remove it from one source"),
        ("four", "patient anna is in both (c, c-four); remove it from one source"),
    ):
        with pytest.raises(DataError) as caught:
            merge_datasets(workspace, ["one", other], "all")
        assert str(caught.value).startswith(f"datasets one and {other} share data: {what}")


def test_another_dataset_of_the_name_is_kept(workspace: Workspace) -> None:
    before = hospital(workspace, "RUNMC", 0)
    hospital(workspace, "UCL", 1)
    with pytest.raises(DataError, match="dataset runmc already exists; choose another name"):
        merge_datasets(workspace, ["runmc", "ucl"], "runmc")
    assert DatasetStore.open(before.path).fingerprint == before.fingerprint
    with pytest.raises(DataError, match="there is one dataset to merge, runmc; name two or more"):
        merge_datasets(workspace, ["runmc"], "all")


def test_the_command_prints_the_merged_dataset(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    hospital(workspace, "RUNMC", 0)
    hospital(workspace, "UCL", 1)
    arguments = ["--workspace", str(workspace.root), "data", "merge", "runmc", "ucl"]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--name", "all"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert "all: 6 cases, 18 slices, 2 domains, fingerprint " in out
    assert "  A-ISBI: 2 train; validation: A-ISBI_Case02" in out
