from __future__ import annotations

import dataclasses

import pytest
import torch
from fake_dataset import FakeDataset
from toy_embeddings import fill, make_manifest

from desam_model.types import Reads
from sweeper.errors import StoreError
from sweeper.store.dataset.views import slice_view

BOTH = frozenset({Reads.IMAGE, Reads.EMBEDDING})


@pytest.fixture
def dataset() -> FakeDataset:
    return FakeDataset(per_case=5, size=32)


@pytest.fixture
def embeddings(tmp_path):
    return fill(tmp_path / "s.zarr", make_manifest(n_slices=10))


def test_only_slices_with_the_structure_are_returned_and_z_numbers_them(dataset, embeddings):
    view = slice_view(
        dataset, ["case-2", "case-1"], structure="prostate", reads=BOTH, embeddings=embeddings
    )
    assert [(s.case, s.z, s.is_last_foreground) for s in view] == [
        (case, z, z == 3) for case in ("case-2", "case-1") for z in range(4)
    ]
    assert torch.equal(view[1].reference, torch.tensor(dataset.mask(7, "prostate")))
    assert torch.equal(view[1].embedding.neck, embeddings.embedding(7).neck)
    assert torch.equal(view[1].image, torch.tensor(dataset.image(7)))


def test_what_the_method_does_not_read_is_not_loaded(dataset, embeddings):
    view = slice_view(
        dataset,
        ["case-1"],
        structure="prostate",
        reads=frozenset({Reads.EMBEDDING}),
        embeddings=embeddings,
    )
    assert view[0].image is None
    assert dataset.image_reads == []
    images = slice_view(dataset, ["case-1"], structure="prostate", reads=frozenset({Reads.IMAGE}))
    assert images[0].embedding is None
    assert images[0].image is not None


def test_making_a_view_reads_nothing_and_pixels_are_decoded_once(dataset):
    view = slice_view(dataset, ["case-1"], structure="prostate", reads=frozenset({Reads.IMAGE}))
    assert dataset.image_reads == []
    assert torch.equal(view[2].image, view[2].image)
    assert dataset.image_reads == [3]


def test_a_part_of_a_view_is_a_view(dataset):
    view = slice_view(dataset, ["case-1"], structure="prostate", reads=frozenset())
    assert [s.z for s in view[1:3]] == [1, 2]
    assert view[-1].is_last_foreground


def test_a_damaged_slice_names_case_and_position(dataset, tmp_path):
    embeddings = fill(tmp_path / "s.zarr", make_manifest(n_slices=10))
    chunk = tmp_path / "s.zarr" / "neck" / "c.7.0.0.0"
    content = bytearray(chunk.read_bytes())
    content[-1] ^= 128
    chunk.write_bytes(content)
    view = slice_view(dataset, ["case-2"], structure="prostate", reads=BOTH, embeddings=embeddings)
    assert view[0].embedding is not None
    with pytest.raises(StoreError, match=r"slice 7 \(case case-2, number 2 .*damaged"):
        view[1]


def test_missing_incomplete_or_foreign_embeddings_are_refused(dataset, tmp_path):
    def view(embeddings):
        return slice_view(
            dataset, ["case-1"], structure="prostate", reads=BOTH, embeddings=embeddings
        )

    with pytest.raises(StoreError, match="fake has none"):
        view(None)
    half = fill(tmp_path / "half.zarr", make_manifest(n_slices=10), indices=range(4))
    with pytest.raises(StoreError, match="has 4 of 10 slices"):
        view(half)
    other = dataclasses.replace(make_manifest(n_slices=10), dataset_fingerprint="ffff")
    with pytest.raises(StoreError, match="made from other images"):
        view(fill(tmp_path / "other.zarr", other))


def test_an_unknown_case_or_structure_is_named(dataset):
    with pytest.raises(StoreError, match="no structure 'liver'; it has prostate"):
        slice_view(dataset, ["case-1"], structure="liver", reads=frozenset())
    with pytest.raises(StoreError, match="no case 'case-9'"):
        slice_view(dataset, ["case-9"], structure="prostate", reads=frozenset())


def test_a_dataset_imported_in_another_order_finds_its_slices(dataset, embeddings):
    class Reordered(FakeDataset):
        """The same cases, the second first."""

        @property
        def cases(self):
            first, second = super().cases
            first.start, second.start = 5, 0
            return second, first

    view = slice_view(
        Reordered(per_case=5, size=32),
        ["case-1"],
        structure="prostate",
        reads=BOTH,
        embeddings=embeddings,
    )
    assert torch.equal(view[0].embedding.neck, embeddings.embedding(0).neck)
    assert torch.equal(view[0].reference, torch.tensor(dataset.mask(5, "prostate")))
