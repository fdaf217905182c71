"""Stores of whole scans: the slices without a reference change nothing of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fault_sources as sources
import numpy as np
import pytest
import torch
from earlier_version import edit
from whole_scans import facts_of, foreground_only

from desam_model.encoder.registry import build_encoder
from desam_model.types import Reads
from sweeper.config.trial import TrialConfig
from sweeper.errors import StoreError
from sweeper.pipeline.data.importing import import_dataset
from sweeper.pipeline.data.options import ImportOptions
from sweeper.pipeline.data.sources import DataSource
from sweeper.pipeline.embed import ensure_embeddings
from sweeper.store.dataset.views import background_view, slice_view
from sweeper.store.dataset.writer import NewCase, write_dataset
from sweeper.store.embeddings.store import EmbeddingStore
from sweeper.store.workspace import Workspace

if TYPE_CHECKING:
    from sweeper.store.dataset.store import DatasetStore

ONE = ImportOptions(processes=1)
BOTH = frozenset({Reads.IMAGE, Reads.EMBEDDING})


@pytest.fixture
def source(tmp_path):
    """Four cases of four slices; the first slice of each shows nothing, and the third of one."""
    folder = sources.saml(tmp_path / "src")
    gap = sources.label_array()
    gap[2] = 0
    sources.write(next(folder.glob("UCL/*00_[Ss]egmentation*")), gap)
    return folder


@pytest.fixture
def whole(source, tmp_path) -> DatasetStore:
    return import_dataset(source, tmp_path / "whole.zarr", ONE).store


@pytest.fixture
def older(whole, tmp_path) -> DatasetStore:
    return foreground_only(whole, tmp_path / "older.zarr")


def test_every_slice_is_kept_and_flags_say_where_the_foreground_is(whole):
    assert whole.keeps_all_slices
    gap = next(case for case in whole.cases if len(case.shown) == 2)
    assert (gap.z, gap.shown, gap.hidden) == ((0, 1, 2, 3), (1, 3), (0, 2))
    assert [whole.mask(gap.start + z, "prostate").any() for z in gap.z] == [False, True] * 2
    assert (whole.n_slices, whole.n_stored_slices) == (11, 16)
    assert gap.diagonal_mm == pytest.approx(np.linalg.norm((4 * 3, 20, 24)))


def test_fingerprint_and_training_slices_are_those_of_a_store_of_the_foreground(whole, older):
    assert not older.keeps_all_slices
    assert (older.n_slices, older.n_stored_slices) == (11, 11)
    assert older.fingerprint == whole.fingerprint
    names = [case.case for case in whole.cases]
    views = [
        slice_view(store, names, structure="prostate", reads=frozenset({Reads.IMAGE}))
        for store in (whole, older)
    ]
    assert len(views[0]) == len(views[1]) == 11
    for mine, theirs in zip(*views, strict=True):
        assert (mine.case, mine.z, mine.is_last_foreground) == (
            theirs.case,
            theirs.z,
            theirs.is_last_foreground,
        )
        assert torch.equal(mine.image, theirs.image)
        assert torch.equal(mine.reference, theirs.reference)


def test_a_slice_that_shows_nothing_changes_only_the_scan_fingerprint(whole, tmp_path):
    facts = facts_of(whole, keeps_all_slices=True)
    stores = []
    for name in ("same", "changed"):
        cases = [
            NewCase(record=case, image=whole.case_images(case), label=whole.case_labels(case))
            for case in whole.cases
        ]
        cases[0].image[0, 0, 0, 0] ^= name == "changed"
        stores.append(write_dataset(tmp_path / f"{name}.zarr", facts, cases))
    same, changed = stores
    assert (same.fingerprint, same.scan_fingerprint) == (whole.fingerprint, whole.scan_fingerprint)
    assert changed.fingerprint == whole.fingerprint
    assert changed.scan_fingerprint != whole.scan_fingerprint


def test_the_background_view_completes_the_scans(whole):
    names = [case.case for case in whole.cases]
    view = background_view(whole, names, structure="prostate", reads=frozenset({Reads.IMAGE}))
    assert [(s.case, s.z) for s in view] == [
        (case.case, z) for case in whole.cases for z in case.hidden
    ]
    assert not any(s.reference.any() or s.is_last_foreground for s in view)
    assert torch.equal(view[0].image, torch.tensor(whole.image(0)))


def test_a_store_of_the_foreground_has_no_background_view(older):
    with pytest.raises(StoreError, match=r"keeps only the slices with a reference.*--replace"):
        background_view(older, [], structure="prostate", reads=frozenset())


def test_embeddings_of_the_foreground_serve_both_and_the_rest_is_made_when_asked(
    whole, older, tmp_path
):
    workspace = Workspace.open(tmp_path / "workspace")
    store = ensure_embeddings(workspace, older, "vit_tiny")
    assert store.n_slices == 11
    stamps = {p: p.stat().st_mtime_ns for p in store.path.rglob("*")}
    again = ensure_embeddings(workspace, whole, "vit_tiny")
    assert again.path == store.path
    assert {p: p.stat().st_mtime_ns for p in store.path.rglob("*")} == stamps
    assert [p.name for p in workspace.embeddings.glob("*.zarr")] == [store.path.name]
    rest = ensure_embeddings(workspace, whole, "vit_tiny", is_background=True)
    assert (rest.n_slices, rest.is_complete()) == (5, True)
    assert rest.path != store.path
    with pytest.raises(StoreError, match=r"kept only the slices with a reference.*--replace"):
        ensure_embeddings(workspace, older, "vit_tiny", is_background=True)


def test_a_slice_reads_its_own_embedding_wherever_that_is_stored(whole, tmp_path):
    workspace = Workspace.open(tmp_path / "workspace")
    store = ensure_embeddings(workspace, whole, "vit_tiny")
    rest = ensure_embeddings(workspace, whole, "vit_tiny", is_background=True)
    names = [case.case for case in reversed(whole.cases)]
    shown = slice_view(whole, names, structure="prostate", reads=BOTH, embeddings=store)
    hidden = background_view(
        whole, names, structure="prostate", reads=BOTH, embeddings=store, background=rest
    )
    encoder = build_encoder("vit_tiny")
    for slice_ in (shown[0], shown[-1], hidden[0], hidden[-1]):
        expected = encoder(slice_.image[None]).neck[0]
        assert torch.allclose(slice_.embedding.neck.float(), expected, atol=2e-3)


def test_import_again_is_nothing_until_it_is_told_to_replace(whole, older, source, tmp_path):
    older.path.rename(target := tmp_path / "x.zarr")
    same = import_dataset(source, target, ONE)
    assert (same.is_unchanged, same.store.keeps_all_slices) == (True, False)
    replaced = import_dataset(source, target, ImportOptions(processes=1, replace=True))
    assert (replaced.is_unchanged, replaced.store.keeps_all_slices) == (False, True)
    assert replaced.store.scan_fingerprint == whole.scan_fingerprint
    assert import_dataset(source, target, ImportOptions(processes=1, replace=True)).is_unchanged


def test_an_embedding_store_of_other_scans_is_refused(whole, tmp_path):
    workspace = Workspace.open(tmp_path / "workspace")
    store = ensure_embeddings(workspace, whole, "vit_tiny")
    rest = ensure_embeddings(workspace, whole, "vit_tiny", is_background=True)
    edit(rest.path, scan_fingerprint="f" * 16)
    with pytest.raises(StoreError, match=r"other images.*embed whole --whole-scan"):
        background_view(
            whole,
            [whole.cases[0].case],
            structure="prostate",
            reads=BOTH,
            embeddings=store,
            background=EmbeddingStore.open(rest.path),
        )


def test_a_plan_of_whole_scans_on_an_older_store_is_refused_with_the_command(older, tmp_path):
    source = DataSource(Workspace.open(tmp_path / "workspace"), None)
    trial = {
        "source": "A-ISBI",
        "dataset": str(older.path),
        "method": {"name": "unet"},
        "evaluation": {"whole_scan": True},
    }
    with pytest.raises(StoreError, match=r"sweeper data import \S+ --name whole --replace;") as err:
        source.facts(TrialConfig.model_validate(trial))
    assert "\n" not in str(err.value)
    plain = TrialConfig.model_validate({**trial, "evaluation": {}})
    assert source.facts(plain).slices == {"A-ISBI": 6, "D-UCL": 5}
