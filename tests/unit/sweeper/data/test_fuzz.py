"""Files as they come from broken disks and strange tools: a result or a clear error, never more.

By default some hundred cases; with SWEEPER_SLOW_TESTS=1 more than 2,000.
"""

from __future__ import annotations

import faulthandler
import json
import os
import shutil
from typing import TYPE_CHECKING

import dicom_writer as dicom
import fault_sources as sources
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813  (the name its own manual uses)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeper.data.layouts.registry import read_source
from sweeper.data.table import propose_table
from sweeper.errors import SweeperError
from sweeper.pipeline.data.importing import import_dataset
from sweeper.pipeline.data.options import ImportOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

IS_SLOW = os.environ.get("SWEEPER_SLOW_TESTS") == "1"
HANG_S = 300

SKIPPING = ImportOptions(processes=1, skip_bad=True)


def examples(by_default: int, slow: int) -> settings:
    return settings(
        max_examples=slow if IS_SLOW else by_default,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(autouse=True)
def _end_if_it_hangs():
    """A reader that never returns ends the process, with the place where it hung."""
    faulthandler.dump_traceback_later(HANG_S * (10 if IS_SLOW else 1), exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


FORMATS = {
    "nii": ("late.nii", ("late.nii",)),
    "nii.gz": ("late.nii.gz", ("late.nii.gz",)),
    "pair": ("late.hdr", ("late.hdr", "late.img")),
    "nrrd": ("late.nrrd", ("late.nrrd",)),
    "nhdr": ("late.nhdr", ("late.nhdr",)),
    "mha": ("late.mha", ("late.mha",)),
    "mhd": ("late.mhd", ("late.mhd", "late.raw")),
    "dicom": ("late", ("late/IM0001.dcm", "late/IM0003.dcm")),
    "png": ("late", ("late/IM0001.png",)),
    "tif": ("late.tif", ("late.tif",)),
    "csv": ("late.nii", ("cases.csv",)),
}
"""Format -> what the table names, and the files that are damaged."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Format -> folder of a sound CSV source whose third case has that format."""
    root = tmp_path_factory.mktemp("sound")
    array = sources.image_array(33)
    folders = {}
    for kind, (image, _) in FORMATS.items():
        folder = root / kind
        path = sources.csv_sound(folder, cases=1)
        if kind == "dicom":
            dicom.write_series(folder / image, array)
        elif kind == "png":
            dicom.write_pictures(folder / image, (array // 2).astype(np.uint8))
        elif kind == "pair":
            sources.write(folder / "late.img", array)
        elif kind == "tif":
            sitk.WriteImage(sitk.GetImageFromArray(array), str(folder / image))
        else:
            frame = sitk.ReadImage(str(folder / "north0.nii.gz"))
            copy = sitk.GetImageFromArray(array)
            copy.CopyInformation(frame)
            sitk.WriteImage(copy, str(folder / image))
        sources.write(folder / "late-label.nii.gz", sources.label_array())
        path.write_text(path.read_text() + f"late,north,{image},late-label.nii.gz\n")
        folders[kind] = folder
    return folders


WORDS = (b"0", b"-1", b"3", b"999999999999", b"nan", b"1e400", b"", b"%s", b"../../x", b"\xff\xfe")

mutation = st.one_of(
    st.tuples(st.just("set"), st.floats(0, 1), st.integers(0, 255)),
    st.tuples(st.just("head"), st.integers(0, 400), st.integers(0, 255)),
    st.tuples(st.just("cut"), st.floats(0, 1), st.integers(1, 500)),
    st.tuples(st.just("end"), st.floats(0, 1), st.just(0)),
    st.tuples(st.just("insert"), st.floats(0, 1), st.binary(min_size=1, max_size=20)),
    st.tuples(st.just("word"), st.integers(0, 60), st.sampled_from(WORDS)),
)


def mutated(data: bytes, changes) -> bytes:
    out = bytearray(data)
    for kind, place, value in changes:
        at = min(place, len(out)) if isinstance(place, int) else int(place * len(out))
        if kind in ("set", "head") and at < len(out):
            out[at] = value
        elif kind == "cut":
            del out[at : at + value]
        elif kind == "end":
            del out[at:]
        elif kind == "insert":
            out[at:at] = value
        elif kind == "word":  # the n-th word of a text header
            words = bytes(out[:600]).replace(b"\n", b" \n ").split(b" ")
            if place < len(words):
                words[place] = value
                out = bytearray(b" ".join(words).replace(b" \n ", b"\n")) + out[600:]
    return bytes(out)


def said(action: Callable[[], object]) -> str:
    """The error line of an action, empty if it has none; any error but ours is raised."""
    try:
        action()
    except SweeperError as err:
        return str(err) or "an error without a word\n"
    return ""


def state(root: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in root.rglob("*")}


def import_or_refuse(source: Path, work: Path) -> None:
    """Import; nothing outside the workspace may change, and only our errors may be raised."""
    workspace = work / "ws" / "datasets"
    before = state(source.parent)
    assert "\n" not in said(lambda: import_dataset(source, workspace / "x.zarr", SKIPPING))
    assert state(source.parent) == before
    assert {path.name for path in work.iterdir()} <= {"source", "ws", "here"}
    assert list((work / "here").iterdir()) == []
    shutil.rmtree(work / "ws", ignore_errors=True)


@pytest.fixture
def work(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


@pytest.mark.parametrize("kind", FORMATS)
def test_a_damaged_file_is_read_or_refused(kind, sound, work):
    source = work / "source" / "set"
    shutil.copytree(sound[kind], source)
    _, damaged = FORMATS[kind]

    @given(
        name=st.sampled_from(damaged),
        changes=st.lists(mutation, min_size=1, max_size=4),
    )
    @examples(4, 190)
    def try_it(name, changes):
        file = source / name
        data = file.read_bytes()
        file.write_bytes(mutated(data, changes))
        try:
            import_or_refuse(source / "cases.csv", work)
        finally:
            file.write_bytes(data)

    try_it()


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=8,
)


def test_any_dataset_json_is_read_or_refused(work):
    source = sources.desam(work / "source" / "set")

    @given(
        facts=st.dictionaries(
            st.sampled_from(("labels", "channel_names", "modality", "name", "file_ending")), plain
        )
        | plain,
        has_table=st.booleans(),
    )
    @examples(30, 1000)
    def try_it(facts, has_table):
        (source / "dataset.json").write_text(json.dumps(facts))
        table = source / "prostate_patientid.csv"
        rows = table.read_text()
        if not has_table:
            table.unlink()
        try:
            assert "\n" not in said(lambda: read_source(source))
        finally:
            table.write_text(rows)

    try_it()


cell = st.text(max_size=12) | st.sampled_from(
    ("a", "../x", "/", ".", "~", "train", "CT", "é", "x" * 300, "²", "late", 'a"b', "north0.nii.gz")
)


def test_any_table_is_read_or_refused(work):
    source = work / "source" / "set"
    sources.csv_sound(source)

    @given(
        rows=st.lists(st.lists(cell, max_size=9), max_size=5),
        header=st.sampled_from(
            ("case,site,image,label,split,patient,modality", "case;site;image;label", "case")
        ),
    )
    @examples(15, 300)
    def try_it(rows, header):
        lines = [header, *(header[4:5].join(row) for row in rows)]
        (source / "cases.csv").write_text("\n".join(lines), encoding="utf-8")
        import_or_refuse(source / "cases.csv", work)

    try_it()


name = st.text("ab01_-. ", min_size=1, max_size=5).filter(lambda text: text.strip(". "))
part = st.sampled_from(("images", "masks", "GT", "train", "sub-01", "p1", "p2", "CT")) | name


def test_any_tree_of_files_gets_a_table_or_a_reason(work):
    @given(
        paths=st.lists(
            st.tuples(
                st.lists(part, max_size=3), part, st.sampled_from((".nii", ".png", ".dcm", ".csv"))
            ),
            max_size=8,
        )
    )
    @examples(15, 300)
    def try_it(paths):
        root = work / "source" / "set"
        root.mkdir(parents=True)
        try:
            for folders, stem, suffix in paths:
                folder = root.joinpath(*folders)
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{stem}{suffix}").touch()
            for action in (propose_table, read_source):
                assert "\n" not in said(lambda do=action: do(root))
        finally:
            shutil.rmtree(root)

    try_it()
