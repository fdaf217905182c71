"""Every fault is reported with its exact line; all of them in one pass; the rest can go on."""

from __future__ import annotations

import inspect
from dataclasses import replace

import fault_builders
import fault_sources as sources
import pytest
from fault_lines import LINES

from sweeper.data.faults import FaultyDataError, errors
from sweeper.pipeline.data.importing import check_dataset, import_dataset
from sweeper.pipeline.data.options import ImportOptions

ONE = ImportOptions(processes=1)


def lines_of(source, layout="auto"):
    _, faults, _ = check_dataset(source, replace(ONE, layout=layout))
    return tuple(fault.line() for fault in faults)


def test_every_builder_has_its_lines_and_there_are_at_least_130_kinds():
    builders = {
        name
        for name, member in vars(fault_builders).items()
        if inspect.isfunction(member) and not name.startswith("_")
    }
    assert builders == set(LINES)
    assert len(LINES) >= 130


@pytest.mark.parametrize("name", [name for name in LINES if name != "label_that_vanishes"])
def test_a_fault_line_names_file_problem_and_remedy(tmp_path, name):
    made = getattr(fault_builders, name)(tmp_path / "set") or tmp_path / "set"
    source, layout = made if isinstance(made, tuple) else (made, "auto")
    assert lines_of(source, layout) == LINES[name]


def test_a_label_that_resizing_leaves_empty_is_found_at_import(tmp_path):
    fault_builders.label_that_vanishes(tmp_path / "src")
    with pytest.raises(FaultyDataError) as caught:
        import_dataset(tmp_path / "src", tmp_path / "x.zarr", ONE)
    assert tuple(f.line() for f in caught.value.faults) == LINES["label_that_vanishes"]


@pytest.mark.parametrize("layout", ["saml", "maxstyle", "desam", "abdominal", "csv_sound"])
def test_a_sound_source_of_each_layout_has_no_fault(tmp_path, layout):
    source = getattr(sources, layout)(tmp_path)
    assert lines_of(source) == ()


def test_a_shift_of_a_ten_thousandth_of_a_millimetre_is_no_fault(tmp_path):
    affine = sources.LPS.copy()
    affine[:3, 3] += 1e-4
    label = sources.saml(tmp_path) / "UCL" / "Case01_segmentation.nii.gz"
    sources.write(label, sources.label_array(), affine)
    assert lines_of(tmp_path) == ()


def test_all_faults_are_reported_in_one_pass_and_nothing_is_imported(tmp_path):
    source = tmp_path / "src"
    sources.saml(source, cases=4)
    (source / "UCL" / "Case00.nii.gz").write_bytes(b"")
    (source / "UCL" / "Case01_segmentation.nii.gz").unlink()
    sources.write(source / "RUNMC" / "Case02.nii.gz", sources.image_array() * 0)
    with pytest.raises(FaultyDataError) as caught:
        import_dataset(source, tmp_path / "x.zarr", ONE)
    assert {f.code for f in caught.value.faults} == {
        "unreadable",
        "label-missing",
        "image-constant",
    }
    assert str(caught.value) == (
        f"{source} has 3 errors in 3 of 7 cases; fix them, or skip these cases with --skip-bad"
    )
    assert not (tmp_path / "x.zarr").exists()


def test_skip_bad_continues_without_the_bad_cases_and_lists_them_in_the_store(tmp_path):
    source = tmp_path / "src"
    sources.saml(source, cases=4)
    (source / "UCL" / "Case00.nii.gz").write_bytes(b"")
    options = ImportOptions(processes=1, skip_bad=True)
    report = import_dataset(source, tmp_path / "x.zarr", options)
    assert len(report.store.cases) == 7
    assert report.store.skipped == {
        "D-UCL_Case00": "error [unreadable] UCL/Case00.nii.gz: the file has 0 bytes; replace the"
        " file or remove the case"
    }
    assert [fault.code for fault in errors(report.faults)] == ["unreadable"]


def test_skip_bad_with_nothing_left_is_an_error(tmp_path):
    source = tmp_path / "src"
    fault_builders.csv_lacks_columns(source)
    with pytest.raises(FaultyDataError, match="fix the errors listed above"):
        import_dataset(source, tmp_path / "x.zarr", ImportOptions(processes=1, skip_bad=True))


def test_of_cases_that_share_an_image_the_first_keeps_its_own_label(tmp_path):
    path = fault_builders.csv_image_shared(tmp_path / "src")
    small = sources.label_array()
    small[2:] = 0
    sources.write(tmp_path / "src" / "south1-label.nii.gz", small)
    store = import_dataset(path, tmp_path / "x.zarr", replace(ONE, skip_bad=True)).store
    assert [(case.case, len(case.shown)) for case in store.cases] == [
        ("north0", 3),
        ("north1", 3),
        ("south0", 3),
    ]
    assert list(store.skipped) == ["south1"]
