"""From a folder to a store: complete, resumable, repeatable, and back out for the released code."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import fault_sources as sources
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813  (the name its own manual uses)
from earlier_version import edit

from desam_model.types import Split
from sweeper.data import case_pool
from sweeper.data.faults import FaultyDataError
from sweeper.errors import DataError, StoreError
from sweeper.locks import exclusive_write
from sweeper.pipeline.data.exporting import export_dataset
from sweeper.pipeline.data.importing import import_dataset
from sweeper.pipeline.data.named import open_dataset
from sweeper.pipeline.data.options import ImportOptions
from sweeper.store.workspace import Workspace

ONE = ImportOptions(processes=1)


@pytest.mark.parametrize(
    ("layout", "n_cases", "structures"),
    [
        ("saml", 4, ("prostate",)),
        ("maxstyle", 4, ("prostate",)),
        ("desam", 4, ("prostate",)),
        ("abdominal", 4, ("liver", "right_kidney", "left_kidney", "spleen")),
        ("csv_sound", 4, ("foreground",)),
    ],
)
def test_every_layout_becomes_a_store(tmp_path, layout, n_cases, structures):
    source = getattr(sources, layout)(tmp_path / "src")
    store = import_dataset(source, tmp_path / "x.zarr", ONE).store
    assert len(store.cases) == n_cases
    assert store.structures == structures
    for case in store.cases:
        masks = [store.mask(case.start + case.shown[0], structure) for structure in structures]
        assert all(m.any() for m in masks)
        assert case.count == len(case.z) == len(case.foreground[structures[0]])
        assert all(case.volume_ml[s] > 0 for s in structures)
        assert len(case.source_hash) == 64
    assert len(store.cases_of(store.domains[0], Split.VALIDATION)) == 1
    assert store.damaged_cases() == ()


def test_a_store_keeps_the_geometry_of_each_source(tmp_path):
    # columns run to the right and slices down: the store tells the frame it turned them to
    affine = sources.LPS @ np.diag([-1.0, 1.0, -1.0, 1.0])
    affine[:3, 3] += sources.LPS[:3, :3] @ (23, 0, 3)
    for name, array in (("Case00", sources.image_array()), ("Case00_seg", sources.label_array())):
        name = name.replace("_seg", "_segmentation")
        sources.write(tmp_path / "src" / "UCL" / f"{name}.nii.gz", array[::-1, :, ::-1], affine)
    case = import_dataset(tmp_path / "src", tmp_path / "x.zarr", ONE).store.cases[0]
    assert (case.matrix, case.n_source_slices, case.source_spacing_mm) == ((20, 24), 4, (3, 1, 1))
    assert np.allclose(case.affine, sources.LPS)
    assert (case.z, case.shown, case.hidden) == ((0, 1, 2, 3), (1, 2, 3), (0,))


def test_parallel_and_serial_imports_are_equal_and_report_progress(tmp_path, monkeypatch):
    monkeypatch.setattr(case_pool, "WORKER_START_S", 0.0)  # tiny cases are not worth a worker
    source = sources.saml(tmp_path / "src")
    told = []
    parallel = import_dataset(
        source, tmp_path / "p.zarr", ImportOptions(processes=2), lambda *a: told.append(a)
    ).store
    serial = import_dataset(source, tmp_path / "s.zarr", ONE).store
    assert parallel.fingerprint == serial.fingerprint
    assert [c.case for c in parallel.cases] == [c.case for c in serial.cases]
    assert told == [("import", done, 4) for done in (1, 2, 3, 4)]


def test_the_fingerprint_minds_neither_folder_nor_layout_times_nor_gzip(tmp_path):
    one = import_dataset(sources.saml(tmp_path / "a"), tmp_path / "a.zarr", ONE).store
    moved = shutil.copytree(tmp_path / "a", tmp_path / "b" / "elsewhere")
    for file in moved.rglob("*.nii.gz"):
        os.utime(file, (1, 1))
    other = import_dataset(moved, tmp_path / "b.zarr", ONE).store
    assert one.fingerprint == other.fingerprint


@pytest.mark.parametrize("salt", [None, "pepper"])
def test_the_fingerprint_minds_no_order_and_one_fingerprint_means_one_order_of_slices(
    tmp_path, salt
):
    # embeddings are found by fingerprint and place: two orders under one would mix patients
    path = sources.csv_sound(tmp_path / "src", cases=10)
    head, *rows = path.read_text().splitlines()
    turned = path.with_name("turned.csv")
    turned.write_text("\n".join([head, *rows[::-1]]))
    options = ImportOptions(processes=1, split="seeded", salt=salt)
    one, two = (
        import_dataset(table, tmp_path / f"{table.stem}.zarr", options).store
        for table in (path, turned)
    )
    assert one.fingerprint == two.fingerprint
    assert one.cases == two.cases
    assert [c.case for c in one.cases] != [row.split(",")[0] for row in rows]


def test_a_changed_voxel_changes_the_fingerprint(tmp_path):
    source = sources.saml(tmp_path / "src")
    one = import_dataset(source, tmp_path / "a.zarr", ONE).store
    label = sources.label_array()
    label[1, 10, 12] = 0
    sources.write(source / "UCL" / "Case01_segmentation.nii.gz", label)
    assert import_dataset(source, tmp_path / "b.zarr", ONE).store.fingerprint != one.fingerprint


def test_a_second_import_does_nothing(tmp_path):
    source = sources.saml(tmp_path / "src")
    first = import_dataset(source, tmp_path / "x.zarr", ONE)
    before = (tmp_path / "x.zarr" / "zarr.json").stat().st_mtime_ns
    told = []
    second = import_dataset(source, tmp_path / "x.zarr", ONE, lambda *a: told.append(a))
    assert (first.is_unchanged, second.is_unchanged) == (False, True)
    assert told == []
    assert (tmp_path / "x.zarr" / "zarr.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("suffix", ["mhd", "nhdr", "hdr"])
def test_a_corrected_label_in_a_voxel_file_is_imported_with_replace(tmp_path, suffix):
    source = tmp_path / "src" / "UCL"
    source.mkdir(parents=True)
    for index in range(2):
        for name, array in (("", sources.image_array(index)), ("_segmentation", None)):
            image = sitk.GetImageFromArray(sources.label_array() if array is None else array)
            image.SetOrigin((5.0, -6.0, 7.0))
            sitk.WriteImage(image, str(source / f"Case{index:02d}{name}.{suffix}"))
    first = import_dataset(tmp_path / "src", tmp_path / "x.zarr", ONE).store
    assert import_dataset(tmp_path / "src", tmp_path / "x.zarr", ONE).is_unchanged
    voxels = source / f"Case00_segmentation.{'img' if suffix == 'hdr' else 'raw'}"
    stat, label = voxels.stat(), sources.label_array()
    label[1] = 0
    voxels.write_bytes(label.tobytes())
    os.utime(voxels, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    with pytest.raises(DataError, match="already exists, with other files"):
        import_dataset(tmp_path / "src", tmp_path / "x.zarr", ONE)
    replaced = import_dataset(tmp_path / "src", tmp_path / "x.zarr", replace(ONE, replace=True))
    assert not replaced.is_unchanged
    assert replaced.store.fingerprint != first.fingerprint
    assert replaced.store.n_slices == first.n_slices - 1


@pytest.mark.parametrize("stated", ["column", "option", "dataset.json", "nowhere", "MR"])
def test_water_is_black_in_mr_only_and_the_store_says_why(tmp_path, stated):
    array = sources.image_array()
    array[:, :3] = -1000
    array[:, 3:6] = 0  # water
    if stated == "dataset.json":
        source = sources.desam(tmp_path / "src")
        (source / "dataset.json").write_text('{"labels": {"a": 1}, "channel_names": {"0": "CT"}}')
        images = sorted(source.glob("imagesTr/*"))
    else:
        source = sources.csv_sound(tmp_path / "src")
        images = [f for f in source.parent.glob("*.nii.gz") if "label" not in f.name]
        if stated == "column":
            lines = source.read_text().splitlines()
            source.write_text("\n".join([f"{lines[0]},modality", *(f"{r},CT" for r in lines[1:])]))
    for index, file in enumerate(images):
        sources.write(file, array + np.int16(index) * (array > 0))
    option = {"option": "CT", "MR": "MR"}.get(stated)
    options = ImportOptions(processes=1, modality=option)
    report = import_dataset(source, tmp_path / "x.zarr", options)
    store, case = report.store, report.store.cases[0]
    water = store.case_images(case)[case.shown[0], 0, 256 * 4 // 20 + 8, 128]
    is_ct = stated not in ("nowhere", "MR")
    assert (water > 100) == is_ct
    expected = {"nowhere": {}, "MR": dict.fromkeys(store.domains, "MR")}
    assert store.modalities == expected.get(stated, dict.fromkeys(store.domains, "CT"))
    assert all(s["keep_zero_background"] != is_ct for s in store.preprocessing.values())
    assert {f.code for f in report.faults} == (set() if is_ct else {"image-like-ct"})


def test_overlapping_regions_are_structures_and_ignore_is_none(tmp_path):
    source = sources.desam(tmp_path / "src")
    labels = {"background": 0, "gland": [1, 3], "zone": [3], "ignore": 7}
    (source / "dataset.json").write_text(json.dumps({"labels": labels}))
    for file in source.glob("labelsTr/*"):
        label = sources.label_array()
        label[2:, :, 12:] *= 3
        sources.write(file, label)
    store = import_dataset(source, tmp_path / "x.zarr", ONE).store
    assert store.structures == ("gland", "zone")
    case = store.cases[0]
    assert case.foreground == {
        "gland": (False, True, True, True),
        "zone": (False, False, True, True),
    }
    assert case.volume_ml["gland"] > case.volume_ml["zone"] > 0
    gland, zone = (store.mask(case.start + 2, name) for name in store.structures)
    assert (gland >= zone).all()
    assert gland.sum() > zone.sum() > 0
    plain = {"background": 0, "gland": 1, "zone": 3}
    (source / "dataset.json").write_text(json.dumps({"labels": plain}))
    other = import_dataset(source, tmp_path / "y.zarr", ONE).store
    assert other.fingerprint != store.fingerprint
    export_dataset(store, tmp_path / "out", structure="gland")
    written = sorted((tmp_path / "out").rglob("labelsTr/*"))[0]
    assert (np.asarray(nib.load(written).dataobj) > 0).sum() == sources.label_array().sum()


def test_a_test_split_is_kept_and_the_rule_that_decided_is_said(tmp_path):
    path = sources.csv_sound(tmp_path / "src", cases=4)
    rule = "desam: the first 90 % of the cases of each domain, in the order of the source, train"
    some = "the source for 2 of 8 cases; for the others by"
    for name, splits, said in (
        ("none", [""] * 8, rule),
        (
            "some",
            ["test", "", "", ""] * 2,
            f"{some} {rule}",
        ),
        (
            "all",
            ["test", "train", "train", "val"] * 2,
            "the source: its split column decides for all cases",
        ),
    ):
        lines = sources.csv_sound(tmp_path / "src", cases=4).read_text().splitlines()
        rows = [f"{line},{split}" for line, split in zip(lines[1:], splits, strict=True)]
        path.write_text("\n".join([f"{lines[0]},split", *rows]))
        store = import_dataset(path, tmp_path / f"{name}.zarr", ONE).store
        assert store.split_rule == said
        tested = {c.case for c in store.cases if c.split is Split.TEST}
        assert tested == (set() if name == "none" else {"north0", "south0"})
        assert len(store.cases_of("north", Split.VALIDATION)) == 1


def test_a_modality_that_contradicts_the_source_is_an_error(tmp_path):
    source = sources.abdominal(tmp_path / "src")
    with pytest.raises(DataError, match="MR is MR in the source, but --modality is CT; remove"):
        import_dataset(source, tmp_path / "x.zarr", replace(ONE, modality="CT"))


def test_a_store_of_an_earlier_reader_is_created_again_with_replace(tmp_path):
    source = sources.saml(tmp_path / "src")
    first = import_dataset(source, tmp_path / "x.zarr", ONE).store
    edit(tmp_path / "x.zarr", "reader_version")
    assert import_dataset(source, tmp_path / "x.zarr", ONE).is_unchanged
    again = import_dataset(source, tmp_path / "x.zarr", replace(ONE, replace=True))
    assert not again.is_unchanged
    assert again.store.fingerprint == first.fingerprint


def test_a_second_import_of_copied_files_does_nothing(tmp_path):
    source = sources.saml(tmp_path / "src")
    import_dataset(source, tmp_path / "x.zarr", ONE)
    copied = shutil.copytree(source, tmp_path / "copy", copy_function=shutil.copyfile)
    assert import_dataset(copied, tmp_path / "x.zarr", ONE).is_unchanged


def test_a_second_process_waits_for_the_first_and_finds_the_work_done(tmp_path):
    source = sources.saml(tmp_path / "src")
    target, told = tmp_path / "x.zarr", []
    with ThreadPoolExecutor(1) as pool:
        with exclusive_write(target):
            second = pool.submit(import_dataset, source, target, ONE, lambda *a: told.append(a))
            while not told:
                time.sleep(0.005)
            assert told == [("waiting for another process that is importing x.zarr", 0, 1)]
        report = second.result()
    assert len(report.store.cases) == 4
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("number", "way"),
    [
        (errno.ENOSPC, "free some space; the same command resumes the import"),
        (errno.EACCES, "fix its permissions, or choose another folder"),
    ],
)
def test_what_the_system_refuses_is_one_line_and_a_way_out(tmp_path, monkeypatch, number, way):
    def refuse(*_args, **_kwargs):
        raise OSError(number, os.strerror(number), "parts/a.npz")

    monkeypatch.setattr(np, "savez", refuse)
    with pytest.raises(DataError) as caught:
        import_dataset(sources.saml(tmp_path / "src"), tmp_path / "x.zarr", ONE)
    assert str(caught.value) == f"parts/a.npz: {os.strerror(number)}; {way}"


def processes_of(group: int) -> list[int]:
    """Those of a process group that are not yet gone."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, of_group = stat.read_text().rpartition(")")[2].split()[:3]
            found += [int(stat.parent.name)] if int(of_group) == group and state != "Z" else []
    return found


def killed_import(source, target, after_parts: int, parallel: bool) -> None:
    """`kill -9` an import once it has prepared some cases."""
    start = "case_pool.WORKER_START_S = 0.0; " if parallel else ""
    code = (
        "from pathlib import Path; from sweeper.data import case_pool;"
        " from sweeper.pipeline.data.importing import import_dataset;"
        f" from sweeper.pipeline.data.options import ImportOptions; {start}"
        f"import_dataset(Path({str(source)!r}), Path({str(target)!r}),"
        f" ImportOptions(processes={2 if parallel else 1}))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", f"if __name__ == '__main__':\n {code}"], start_new_session=True
    )
    parts = target.with_name(f".{target.name}.parts")
    while len(list(parts.glob("*.npz"))) < after_parts:
        assert child.poll() is None, "it ended before it was killed"
        time.sleep(0.001)
    child.kill()
    child.wait()
    deadline = time.monotonic() + 20
    while processes_of(child.pid):
        assert time.monotonic() < deadline, "a worker outlived the import"
        time.sleep(0.05)


@pytest.mark.parametrize("parallel", [False, True])
def test_after_kill_9_the_same_command_goes_on_and_nothing_is_left_running(tmp_path, parallel):
    source = sources.saml(tmp_path / "src", sites=("UCL",), cases=24)
    killed_import(source, tmp_path / "x.zarr", 5, parallel)
    assert not (tmp_path / "x.zarr").exists()
    report = import_dataset(source, tmp_path / "x.zarr", ONE)
    assert report.n_resumed >= 5
    clean = import_dataset(source, tmp_path / "clean" / "x.zarr", ONE)
    assert clean.n_resumed == 0
    assert files_of(tmp_path / "x.zarr") == files_of(tmp_path / "clean" / "x.zarr")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def files_of(store: Path) -> dict[str, bytes]:
    """Every file of a store."""
    return {
        str(file.relative_to(store)): file.read_bytes()
        for file in store.rglob("*")
        if file.is_file()
    }


def test_an_interrupted_import_goes_on_from_the_cases_it_had_prepared(tmp_path):
    source = sources.saml(tmp_path / "src", cases=3)

    def stop(_what, done, _total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_dataset(source, tmp_path / "x.zarr", ONE, stop)
    assert not (tmp_path / "x.zarr").exists()
    report = import_dataset(source, tmp_path / "x.zarr", ONE)
    assert report.n_resumed == 4
    clean = import_dataset(source, tmp_path / "y.zarr", ONE)
    assert clean.n_resumed == 0
    assert report.store.fingerprint == clean.store.fingerprint
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_mending_a_fault_keeps_the_work_done_on_the_other_cases(tmp_path):
    source = sources.saml(tmp_path / "src")
    (source / "UCL" / "Case01.nii.gz").write_bytes(b"")
    with pytest.raises(FaultyDataError):
        import_dataset(source, tmp_path / "x.zarr", ONE)
    sources.write(source / "UCL" / "Case01.nii.gz", sources.image_array(7))
    assert import_dataset(source, tmp_path / "x.zarr", ONE).n_resumed == 3


def test_another_dataset_of_that_name_is_replaced_only_on_request(tmp_path):
    import_dataset(sources.saml(tmp_path / "a"), tmp_path / "x.zarr", ONE)
    other = sources.saml(tmp_path / "b", cases=3)
    with pytest.raises(DataError, match="choose another name with --name, or replace it with"):
        import_dataset(other, tmp_path / "x.zarr", ONE)
    replaced = import_dataset(other, tmp_path / "x.zarr", ImportOptions(processes=1, replace=True))
    assert len(replaced.store.cases) == 6


def test_an_option_that_changes_the_store_is_another_import(tmp_path):
    source = sources.saml(tmp_path / "src", cases=4)
    import_dataset(source, tmp_path / "x.zarr", ONE)
    with pytest.raises(DataError, match="with other files or other options"):
        import_dataset(source, tmp_path / "x.zarr", ImportOptions(processes=1, split="seeded"))


def test_the_label_resize_that_was_used_is_kept_and_changes_the_fingerprint(tmp_path):
    source = sources.saml(tmp_path / "src")
    released = ImportOptions(processes=1, label_resize="released")
    one = import_dataset(source, tmp_path / "a.zarr", ONE).store
    two = import_dataset(source, tmp_path / "b.zarr", released).store
    assert two.preprocessing["A-ISBI"]["label_resize"] == "released"
    assert one.preprocessing["A-ISBI"]["label_resize"] == "nearest"
    assert one.fingerprint != two.fingerprint


def test_a_dataset_exported_for_the_released_code_comes_back_equal(tmp_path):
    source = sources.saml(tmp_path / "src", cases=3)
    store = import_dataset(source, tmp_path / "x.zarr", ONE).store
    written, remarks = export_dataset(store, tmp_path / "work")
    assert remarks == ()
    home = tmp_path / "work" / "raw_data"
    assert (home / "prostate_patientid.csv").read_text().splitlines() == [
        "center,patientid",
        *(f"A-ISBI,{i}" for i in (1, 2, 3)),
        *(f"D-UCL,{i}" for i in (4, 5, 6)),
    ]
    for one in written:
        # the release takes characters 9 to 12 of the slice file's name as the number
        assert int(f"{one.name}_00.npz"[9:12]) == int(one.name.split("_")[1])
    back = import_dataset(tmp_path / "work", tmp_path / "back.zarr", ONE).store
    hashes = {one.name: store.case(one.case).content_hash for one in written}
    assert {c.case: c.content_hash for c in back.cases} == hashes
    assert [c.split for c in back.cases] == [c.split for c in store.cases]


def test_an_interrupted_export_leaves_no_half_set(tmp_path):
    store = import_dataset(sources.saml(tmp_path / "src"), tmp_path / "x.zarr", ONE).store

    def stop(done, _total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_dataset(store, tmp_path / "work", progress=stop)
    assert not (tmp_path / "work" / "raw_data").exists()
    assert len(export_dataset(store, tmp_path / "work")[0]) == 4
    assert [p.name for p in (tmp_path / "work").iterdir()] == ["raw_data"]


def test_a_store_with_salted_ids_says_why_it_cannot_be_exported(tmp_path):
    source = sources.saml(tmp_path / "src")
    store = import_dataset(source, tmp_path / "x.zarr", ImportOptions(processes=1, salt="s")).store
    with pytest.raises(DataError, match="has salted ids, so its cases cannot be found"):
        export_dataset(store, tmp_path / "work", source=source)


def picture(path, array) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))


@pytest.mark.parametrize("suffix", ["png", "tif", "nrrd", "mha", "nii.gz"])
def test_a_csv_of_each_format_becomes_a_store_2_d_and_3_d(tmp_path, suffix):
    rows = []
    for index in range(2):
        image = sources.image_array(index, (4, 60, 60)) // 2
        label = sources.label_array((4, 60, 60))
        if suffix in ("png", "tif"):
            image, label = image[1].astype(np.uint8), label[1] * 255
        picture(tmp_path / f"i{index}.{suffix}", image)
        picture(tmp_path / f"l{index}.{suffix}", label)
        rows.append(f"c{index},here,i{index}.{suffix},l{index}.{suffix}")
    path = sources.csv_source(tmp_path, rows)
    store = import_dataset(path, tmp_path / "x.zarr", ONE).store
    assert [c.count for c in store.cases] == ([1, 1] if suffix in ("png", "tif") else [4, 4])
    middle = store.mask(store.cases[0].shown[0], "foreground")
    assert middle[128, 128] == 1
    assert middle.sum() == pytest.approx((256 / 3) ** 2, rel=0.03)
    assert store.cases[0].spacing_mm[1:] == pytest.approx((60 / 256, 60 / 256))


def test_export_says_what_it_cannot_do(tmp_path):
    store = import_dataset(sources.csv_sound(tmp_path / "src"), tmp_path / "x.zarr", ONE).store
    _, remarks = export_dataset(store, tmp_path / "work")
    assert remarks == tuple(
        f"{site} is not one of the six sites that the released code supports"
        for site in ("north", "south")
    )
    with pytest.raises(DataError, match="already exists; remove it"):
        export_dataset(store, tmp_path / "work")
    shutil.rmtree(tmp_path / "src")
    with pytest.raises(
        DataError, match="does not exist any more; set its new folder with --source"
    ):
        export_dataset(store, tmp_path / "other")
    organs = import_dataset(sources.abdominal(tmp_path / "abd"), tmp_path / "o.zarr", ONE).store
    with pytest.raises(DataError, match="choose one with --structure"):
        export_dataset(organs, tmp_path / "other")
    written, _ = export_dataset(organs, tmp_path / "other", structure="spleen")
    assert len(written) == 4


def test_a_dataset_is_found_by_name_and_by_path(tmp_path):
    workspace = Workspace.open(tmp_path / "ws")
    source = sources.saml(tmp_path / "src")
    store = import_dataset(source, workspace.datasets / "mine.zarr", ONE).store
    assert open_dataset(workspace, "mine").fingerprint == store.fingerprint
    assert open_dataset(workspace, str(store.path)).fingerprint == store.fingerprint
    with pytest.raises(StoreError, match=r"'other' is neither .*; imported are mine"):
        open_dataset(workspace, "other")


def test_real_volumes_import_with_their_sites_and_right_side_up(tmp_path, shared):
    real = shared / "realdata" / "promise12"
    report = import_dataset(real, tmp_path / "real.zarr")
    store = report.store
    sites = {"D-UCL": "UCL", "E-BIDMC": "BIDMC", "F-HK": "HK"}
    files = {d: len(list((real / sites[d]).glob("*_segmentation.nii.gz"))) for d in store.domains}
    assert {d: len(store.cases_of(d)) for d in store.domains} == files
    assert {fault.code for fault in report.faults} == {"set-incomplete"}
    case = store.case("E-BIDMC_Case00")
    middle = case.start + case.shown[len(case.shown) // 2]
    rows = np.flatnonzero(store.mask(middle, "prostate").any(axis=1))
    # the coil's flare lies behind the gland: brighter below it than above it
    image = store.image(middle)[0].astype(float)
    assert (
        image[rows.max() : rows.max() + 30].mean()
        > 1.5 * image[rows.min() - 30 : rows.min()].mean()
    )


def test_parts_that_a_crash_of_the_machine_left_torn_are_made_again(tmp_path):
    source, target = sources.saml(tmp_path / "src"), tmp_path / "x.zarr"
    bad = source / "UCL" / "Case01.nii.gz"
    content = bad.read_bytes()
    bad.write_bytes(b"")
    with pytest.raises(FaultyDataError):
        import_dataset(source, target, ONE)
    torn = sorted(tmp_path.glob(".x.zarr.parts/*.npz"))
    assert len(torn) == 3
    torn[0].write_bytes(torn[0].read_bytes()[:1000])
    torn[1].write_bytes(b"")
    bad.write_bytes(content)
    report = import_dataset(source, target, ONE)
    assert (report.n_resumed, len(report.store.cases)) == (1, 4)
    assert report.store.damaged_cases() == ()
