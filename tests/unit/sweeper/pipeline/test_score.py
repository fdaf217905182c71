from __future__ import annotations

import shutil
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest
from earlier_version import edit
from whole_scans import foreground_only

from sweeper.config.report import ReportSpec
from sweeper.data.phantom.prostate import write_nifti
from sweeper.errors import DataError
from sweeper.pipeline.data.importing import import_dataset
from sweeper.pipeline.data.options import ImportOptions
from sweeper.pipeline.report import query, tables
from sweeper.pipeline.score import ScoreRequest, find_domain, score
from sweeper.store.dataset.store import DatasetStore
from sweeper.store.workspace import Workspace
from sweeper.tracking.mlflow_tracker import MlflowTracker

if TYPE_CHECKING:
    from pathlib import Path

# mlflow's own dependencies warn while they are imported
pytestmark = pytest.mark.filterwarnings("ignore")

SPACING_XYZ = (1.0, 1.0, 3.0)
CASES = {"a1": "A", "b1": "B", "b2": "B", "c1": "C"}


def disc(shift: int) -> np.ndarray:
    z, y, x = np.mgrid[:6, :80, :72]
    mask = ((y - 40) ** 2 + (x - 36 - shift) ** 2 < 14**2) & (z > 0) & (z < 5)
    return mask.astype(np.uint8)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetStore:
    root = tmp_path_factory.mktemp("source")
    lines = ["case,site,image,label"]
    rng = np.random.default_rng(0)
    for number, (case, site) in enumerate(CASES.items()):
        label = disc(number)
        image = (label.astype(np.int16) * 500 + rng.integers(0, 200, label.shape)).astype(np.int16)
        write_nifti(root / f"{case}.nii.gz", image, SPACING_XYZ)
        write_nifti(root / f"{case}_label.nii.gz", label, SPACING_XYZ)
        lines.append(f"{case},{site},{case}.nii.gz,{case}_label.nii.gz")
    (root / "cases.csv").write_text("\n".join(lines))
    options = ImportOptions(structures={1: "prostate"}, processes=1, skip_bad=True)
    return import_dataset(root, root / "toy.zarr", options).store


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace.open(tmp_path_factory.mktemp("workspace"))


def test_the_reference_itself_scores_perfectly_and_lost_cases_stay_as_undefined(
    dataset: DatasetStore, workspace: Workspace, tmp_path: Path
) -> None:
    for case in ("b1", "b2"):
        shutil.copy(f"{dataset.source}/{case}_label.nii.gz", tmp_path / f"{case}_0000.nii.gz")
    outcome = score(
        workspace, dataset, ScoreRequest(folder=tmp_path, method="nnunet", source="A", seed=3)
    )
    assert (outcome.scored, outcome.missing) == (("b1", "b2"), ("c1",))
    spec = ReportSpec(protocol="strict", columns="matrix")
    (table,) = tables(query(workspace, [outcome.sweep], spec))
    assert table.rows[0].cells[1].value == 100.0
    assert table.rows[0].cells[2].n_undefined == 1
    spec = ReportSpec(columns="source", protocol="strict", undefined="skip")
    (table,) = tables(query(workspace, [outcome.sweep], spec))
    assert (table.rows[0].origin, table.rows[0].label) == (
        "imported",
        "nnunet [imported]",
    )
    assert table.rows[0].cells[0].value == 100.0
    assert "imported masks" in table.rows[0].note


def test_masks_scored_again_replace_themselves(
    dataset: DatasetStore, workspace: Workspace, tmp_path: Path
) -> None:
    for case in ("b1", "b2", "c1"):
        write_nifti(tmp_path / f"{case}.nii.gz", disc(30), SPACING_XYZ)
    request = ScoreRequest(folder=tmp_path, method="again", source="A")
    score(workspace, dataset, request)
    for case in ("b1", "b2", "c1"):
        shutil.copy(f"{dataset.source}/{case}_label.nii.gz", tmp_path / f"{case}.nii.gz")
    sweep = score(workspace, dataset, request).sweep
    (table,) = tables(query(workspace, [sweep], ReportSpec(columns="source", protocol="strict")))
    rows = {row.label: row for row in table.rows}
    assert rows["again [imported]"].cells[0].value == 100.0


def test_a_mask_on_another_grid_is_resampled_and_listed(
    dataset: DatasetStore, workspace: Workspace, tmp_path: Path
) -> None:
    doubled = disc(1).repeat(2, 1).repeat(2, 2)
    write_nifti(tmp_path / "b1.nii.gz", doubled, (0.5, 0.5, 3.0))
    outcome = score(workspace, dataset, ScoreRequest(folder=tmp_path, method="fine", source="A"))
    assert outcome.regridded == ("b1",)
    (table,) = tables(
        query(
            workspace,
            [outcome.sweep],
            ReportSpec(columns="source", protocol="strict", undefined="skip"),
        )
    )
    value = {row.label: row for row in table.rows}["fine [imported]"].cells[0].value
    assert value is not None
    assert value > 97


def test_a_mask_of_the_right_size_at_another_place_is_moved_back_and_listed(
    dataset: DatasetStore, workspace: Workspace, tmp_path: Path
) -> None:
    original = nib.load(f"{dataset.source}/b1_label.nii.gz")
    affine = original.affine.copy()
    affine[0, 3] += 20.0  # mm
    values = np.roll(np.asarray(original.dataobj), round(-20 / affine[0, 0]), axis=0)
    nib.save(nib.Nifti1Image(values, affine), tmp_path / "b1.nii.gz")
    outcome = score(workspace, dataset, ScoreRequest(folder=tmp_path, method="moved", source="A"))
    assert outcome.regridded == ("b1",)
    spec = ReportSpec(columns="matrix", protocol="strict", undefined="skip")
    built = tables(query(workspace, [outcome.sweep], spec))
    (row,) = (t.rows[0] for t in built if t.row_header.startswith("moved"))
    assert row.cells[1].value == pytest.approx(100.0)


def test_a_mask_scores_the_same_after_the_source_folder_is_gone(
    dataset: DatasetStore, workspace: Workspace, tmp_path: Path
) -> None:
    moved = tmp_path / "masks"
    moved.mkdir()
    original = nib.load(f"{dataset.source}/b1_label.nii.gz")
    affine = original.affine.copy()
    affine[:3, 3] += (6.0, 0.0, 0.0)  # mm
    nib.save(nib.Nifti1Image(np.asarray(original.dataobj), affine), moved / "b1.nii.gz")
    store = shutil.copytree(dataset.path, tmp_path / "toy.zarr")
    values = []
    for number, source in enumerate((dataset.source, str(tmp_path / "gone"))):
        edit(store, source=source)
        request = ScoreRequest(folder=moved, method=f"there-{number}", source="A")
        outcome = score(workspace, DatasetStore.open(store), request)
        assert outcome.regridded == ("b1",)
        spec = ReportSpec(columns="source", protocol="strict", undefined="skip")
        (table,) = tables(query(workspace, [outcome.sweep], spec))
        rows = {row.label: row for row in table.rows}
        values.append(rows[f"there-{number} [imported]"].cells[0].value)
    assert values[0] == values[1]
    assert values[0] < 90


def test_files_that_are_no_target_cases_are_listed_too(
    dataset: DatasetStore, workspace: Workspace, tmp_path: Path
) -> None:
    for name in ("a1", "b1", "stranger"):
        write_nifti(tmp_path / f"{name}.nii.gz", disc(1), SPACING_XYZ)
    outcome = score(workspace, dataset, ScoreRequest(folder=tmp_path, method="more", source="A"))
    assert outcome.untested == ("a1",)
    assert outcome.unmatched == ("stranger.nii.gz",)


def test_masks_never_join_a_sweep_on_other_data(dataset: DatasetStore, tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "w")
    tracker = MlflowTracker(workspace)
    other = {"cells": [], "report": {}, "dataset": {"name": "x", "fingerprint": "y"}, "encoder": {}}
    tracker.prepare("other@x", other)
    masks = tmp_path / "masks"
    masks.mkdir()
    write_nifti(masks / "b1.nii.gz", disc(1), SPACING_XYZ)
    request = ScoreRequest(folder=masks, method="m", source="A")
    assert score(workspace, dataset, request).sweep == f"imported@{dataset.name}"
    with pytest.raises(DataError, match="other@x uses dataset 'x'"):
        score(workspace, dataset, replace(request, sweep="other"))


def test_what_cannot_be_scored_is_said_and_what_is_no_case_is_refused(
    dataset: DatasetStore, workspace: Workspace, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        score(workspace, dataset, ScoreRequest(folder=tmp_path / "no", method="m", source="A"))
    write_nifti(tmp_path / "stranger.nii.gz", disc(0), SPACING_XYZ)
    with pytest.raises(DataError, match="none is named after a case"):
        score(workspace, dataset, ScoreRequest(folder=tmp_path, method="m", source="A"))
    with pytest.raises(DataError, match="source is 'Z'"):
        score(workspace, dataset, ScoreRequest(folder=tmp_path, method="m", source="Z"))
    (tmp_path / "c1.nii.gz").write_bytes(b"")
    outcome = score(workspace, dataset, ScoreRequest(folder=tmp_path, method="m", source="A"))
    assert "0 bytes" in outcome.unusable["c1"]


def test_an_empty_mask_is_listed_and_a_label_that_no_mask_has_is_refused(
    dataset: DatasetStore, workspace: Workspace, tmp_path: Path
) -> None:
    write_nifti(tmp_path / "b1.nii.gz", disc(1), SPACING_XYZ)
    write_nifti(tmp_path / "b2.nii.gz", 0 * disc(1), SPACING_XYZ)
    request = ScoreRequest(folder=tmp_path, method="some", source="A")
    assert score(workspace, dataset, request).empty == ("b2",)
    with pytest.raises(DataError, match=r"none of 2 masks contains the value 7 .* set --label"):
        score(workspace, dataset, replace(request, labels=(7,)))
    with pytest.raises(DataError, match="--method is empty"):
        score(workspace, dataset, replace(request, method=" "))


def test_the_beginning_of_a_sites_name_will_do_where_it_is_the_only_one() -> None:
    prostate = SimpleNamespace(domains=("A-ISBI", "B-ISBI_1.5", "B-other"), name="prostate")
    assert find_domain(prostate, "A") == "A-ISBI"  # type: ignore[arg-type]
    with pytest.raises(DataError, match="source is 'B'"):
        find_domain(prostate, "B")  # type: ignore[arg-type]


def test_masks_too_long_at_both_ends_lose_over_the_whole_scan_only(
    dataset: DatasetStore, tmp_path: Path
) -> None:
    (tmp_path / "masks").mkdir()
    for number, case in enumerate(CASES):
        mask = disc(number)
        mask[0], mask[5] = mask[1], mask[4]  # the reference is in slices 1 to 4
        write_nifti(tmp_path / "masks" / f"{case}.nii.gz", mask, SPACING_XYZ)
    request = ScoreRequest(folder=tmp_path / "masks", method="long", source="A")
    whole = Workspace.open(tmp_path / "whole")
    sweep = score(whole, dataset, request).sweep
    made = {}
    for protocol in ("strict", "volume"):
        spec = ReportSpec(columns="source", protocol=protocol)
        (table,) = tables(query(whole, [sweep], spec))
        made[protocol] = table.rows[0].cells[0].value
    assert made == {"strict": 100.0, "volume": pytest.approx(100 * 2 * 4 / (4 + 6))}

    # a dataset of an earlier version has the same strict numbers, and none of whole scans
    older = foreground_only(dataset, tmp_path / "older.zarr")
    plain = Workspace.open(tmp_path / "plain")
    sweep = score(plain, older, request).sweep
    (table,) = tables(query(plain, [sweep], ReportSpec(columns="source", protocol="strict")))
    assert table.rows[0].cells[0].value == 100.0
    (table,) = tables(query(plain, [sweep], ReportSpec(columns="source", protocol="volume")))
    assert table.rows[0].cells[0].value is None
    assert any("scored without protocol volume" in reason for reason in table.draft_reasons)
