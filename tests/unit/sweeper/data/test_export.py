"""An export is read by our DeSAM layout with the same voxels, geometry, sites and order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fault_sources as sources
import nibabel as nib
import numpy as np
import pytest

from sweeper.data import export
from sweeper.data.export import export_desam
from sweeper.data.layouts.registry import read_source
from sweeper.data.volume import read_volume
from sweeper.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


def test_an_export_has_the_voxels_geometry_sites_and_order_of_its_cases(tmp_path: Path) -> None:
    cases = read_source(sources.saml(tmp_path / "src")).cases
    progress: list[tuple[int, int]] = []
    exported = export_desam(
        cases, tmp_path, values=[1], progress=lambda done, total: progress.append((done, total))
    )
    assert [(e.case, e.domain) for e in exported] == [(c.case, c.domain) for c in cases]
    assert progress == [(n, 4) for n in range(1, 5)]
    again = read_source(tmp_path)
    assert again.layout == "desam"
    assert [(c.case, c.domain) for c in again.cases] == [
        (f"prostate_{n:03d}", case.domain) for n, case in enumerate(cases, start=1)
    ]
    for case, copy in zip(cases, again.cases, strict=True):
        for path, written in ((case.image, copy.image), (case.label, copy.label)):
            before, after = read_volume(path), read_volume(written)
            assert np.array_equal(before.array, after.array)
            assert np.allclose(before.affine, after.affine)


def test_only_the_chosen_structure_is_exported_as_1(tmp_path: Path) -> None:
    cases = read_source(sources.abdominal(tmp_path / "src")).cases
    export_desam(cases, tmp_path, values=[2])
    source = read_volume(cases[0].label).array[0]
    written = np.asanyarray(
        nib.load(tmp_path / "raw_data" / "labelsTr" / "prostate_001.nii.gz").dataobj
    )
    file_value = next(v for v, stored in cases[0].label_map.items() if stored == 2)
    assert np.unique(written).tolist() == [0, 1]
    assert written.sum() == (source == file_value).sum()


def test_existing_data_and_too_many_cases_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = read_source(sources.saml(tmp_path / "src")).cases
    monkeypatch.setattr(export, "MAX_CASES", 3)
    with pytest.raises(DataError, match=r"there are 4 cases, but .* at most 3"):
        export_desam(cases, tmp_path, values=[1])
    (tmp_path / "raw_data").mkdir()
    with pytest.raises(DataError, match="already exists; remove it or name another folder"):
        export_desam(cases[:2], tmp_path, values=[1])


def test_an_interrupted_export_leaves_no_raw_data_and_can_be_repeated(tmp_path: Path) -> None:
    cases = read_source(sources.saml(tmp_path / "src")).cases

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_desam(cases, tmp_path, values=[1], progress=stop)
    assert not (tmp_path / "raw_data").exists()
    export_desam(cases[:1], tmp_path, values=[1])
    assert len(list((tmp_path / "raw_data" / "imagesTr").iterdir())) == 1
