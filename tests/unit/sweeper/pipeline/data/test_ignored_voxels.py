"""nnU-Net's label `ignore`, from the file to a batch: no structure, no background, no export."""

from __future__ import annotations

import json

import fault_builders
import fault_sources as sources
import numpy as np
import pytest
import torch

from desam_model.training.loader import collate
from desam_model.types import IGNORED, IGNORED_LABEL, Reads
from sweeper.errors import DataError
from sweeper.pipeline.data.exporting import export_dataset
from sweeper.pipeline.data.importing import import_dataset
from sweeper.pipeline.data.options import ImportOptions
from sweeper.store.dataset.views import slice_view

ONE = ImportOptions(processes=1)


@pytest.fixture
def imported(tmp_path):
    fault_builders.ignored_voxels(tmp_path / "src")
    return import_dataset(tmp_path / "src", tmp_path / "x.zarr", ONE)


def test_ignored_voxels_reach_a_batch_as_ignored(imported) -> None:
    store = imported.store
    assert [fault.code for fault in imported.faults if fault.code == "label-ignore"]
    case = store.case("prostate_003")
    assert case.foreground["prostate"] == (False, True, True, True)
    index = case.start + 2
    assert set(np.unique(store.label(index))) == {0, 1, IGNORED_LABEL}
    assert set(np.unique(store.mask(index, "prostate"))) == {0, 1}
    view = slice_view(store, [case.case], structure="prostate", reads=frozenset({Reads.IMAGE}))
    batch = collate(list(view))
    assert batch.reference.dtype == torch.float32
    assert [set(r.unique().tolist()) for r in batch.reference] == [{0, 1}, {IGNORED, 0, 1}, {0, 1}]


def test_a_label_of_that_name_changes_no_fingerprint_where_no_voxel_has_it(tmp_path) -> None:
    source = sources.desam(tmp_path / "src")
    prints = []
    for labels in ({"prostate": 1}, {"prostate": 1, "ignore": 2}):
        (source / "dataset.json").write_text(json.dumps({"labels": labels}))
        store = import_dataset(source, tmp_path / f"{len(labels)}.zarr", ONE).store
        assert store.reference(store.cases[0].start + 2, "prostate").dtype == np.uint8
        prints.append((store.fingerprint, store.scan_fingerprint))
    assert prints[0] == prints[1]


def test_ignored_voxels_are_not_exported_as_background(imported, tmp_path) -> None:
    with pytest.raises(DataError, match="prostate_003 has ignored voxels, which the released code"):
        export_dataset(imported.store, tmp_path / "out")
