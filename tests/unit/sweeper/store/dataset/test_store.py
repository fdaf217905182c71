"""Dataset stores: what they keep and refuse, and an identity that depends on content only."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

from desam_model.types import Split
from sweeper.errors import StoreError
from sweeper.store.dataset.store import CaseRecord, DatasetStore
from sweeper.store.dataset.writer import DatasetFacts, NewCase, write_dataset

FACTS = DatasetFacts(
    name="toy",
    structures=("liver", "spleen"),
    is_synthetic=True,
    preprocessing={"CT": {"image_size_px": 8}},
    split_rule="by hand",
    import_key="0" * 16,
    skipped={},
)


def new_case(name: str, domain: str = "CT", n: int = 2, channels: int = 1) -> NewCase:
    rng = np.random.default_rng(len(name) + n)
    label = np.zeros((n, 8, 8), np.uint8)
    label[:, 2:4, 2:4] = 1
    label[0, 5:7, 5:7] = 2
    record = CaseRecord(
        case=name,
        domain=domain,
        split=Split.TRAIN,
        start=0,
        count=0,
        z=tuple(range(3, 3 + n)),
        spacing_mm=(3.0, 1.5, 1.5),
        foreground={"liver": (True,) * n, "spleen": (True, *[False] * (n - 1))},
        volume_ml={"liver": 1.0, "spleen": 0.5},
        matrix=(16, 16),
        n_source_slices=9,
        source_spacing_mm=(3.0, 0.75, 0.75),
        image_file="i",
        label_file="l",
        source_hash="s",
        content_hash="",
        has_geometry=True,
    )
    image = rng.integers(0, 255, (n, channels, 8, 8)).astype(np.uint8)
    return NewCase(record=record, image=image, label=label)


def test_what_was_written_is_read_again(tmp_path):
    cases = [new_case("a"), new_case("bb", "MR", n=3)]
    store = write_dataset(tmp_path / "toy.zarr", FACTS, cases)
    assert (store.name, store.domains, store.structures) == ("toy", ("CT", "MR"), FACTS.structures)
    assert (store.n_slices, store.image_size_px, store.image_channels) == (5, 8, 1)
    assert store.cases_of("MR") == (store.case("bb"),)
    assert store.cases_of("MR", Split.VALIDATION) == ()
    assert store.case("bb").start == 2
    assert np.array_equal(store.image(3), cases[1].image[1])
    assert np.array_equal(store.mask(2, "spleen"), (cases[1].label[0] == 2).astype(np.uint8))
    assert store.mask(3, "spleen").sum() == 0
    assert np.array_equal(store.case_images(store.case("bb")), cases[1].image)


def test_a_store_travels_to_another_process_by_its_path(tmp_path):
    store = write_dataset(tmp_path / "toy.zarr", FACTS, [new_case("a")])
    assert pickle.loads(pickle.dumps(store)).fingerprint == store.fingerprint


def test_the_fingerprint_depends_on_content_and_not_on_folder_order_or_name(tmp_path):
    a, b = new_case("a"), new_case("b", n=3)
    first = write_dataset(tmp_path / "x" / "toy.zarr", FACTS, [a, b]).fingerprint
    other = write_dataset(tmp_path / "y.zarr", replace(FACTS, name="else"), [b, a]).fingerprint
    assert first == other
    assert len(first) == 16
    changed = a.label.copy()
    changed[0, 0, 0] = 1
    assert (
        write_dataset(tmp_path / "z.zarr", FACTS, [replace(a, label=changed), b]).fingerprint
        != first
    )
    moved = replace(a, record=replace(a.record, split=Split.VALIDATION))
    assert write_dataset(tmp_path / "z.zarr", FACTS, [moved, b]).fingerprint != first


def test_a_missing_slice_is_an_error_and_never_read_as_black(tmp_path):
    store = write_dataset(tmp_path / "toy.zarr", FACTS, [new_case("a")])
    next(f for f in (store.path / "image" / "c").rglob("*") if f.is_file()).unlink()
    with pytest.raises(StoreError, match="image holds 1 of 2 slices; import it again"):
        DatasetStore.open(store.path)


def test_changed_voxels_are_found(tmp_path):
    import zarr

    store = write_dataset(tmp_path / "toy.zarr", FACTS, [new_case("a"), new_case("b")])
    assert store.damaged_cases() == ()
    zarr.open_group(store.path, mode="r+")["image"][3] = 7
    assert DatasetStore.open(store.path).damaged_cases() == ("b",)


@pytest.mark.parametrize("name", ["image", "label"])
def test_a_flipped_byte_is_an_error_that_names_the_case(tmp_path, name):
    store = write_dataset(tmp_path / "toy.zarr", FACTS, [new_case("a"), new_case("b")])
    chunk = next(f for f in (store.path / name / "c" / "3").rglob("*") if f.is_file())
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(bytes(content))
    store = DatasetStore.open(store.path)
    with pytest.raises(StoreError, match=rf"case b of dataset store .* its {name} cannot be"):
        store.image(3) if name == "image" else store.label(3)
    assert store.damaged_cases() == ("b",)


def test_a_store_that_lost_the_description_of_an_array_is_damaged(tmp_path):
    store = write_dataset(tmp_path / "toy.zarr", FACTS, [new_case("a")])
    (store.path / "image" / "zarr.json").unlink()
    with pytest.raises(StoreError, match="is damaged: 'image' cannot be read; import it again"):
        DatasetStore.open(store.path)


def test_a_changed_case_table_or_description_of_an_array_is_damage(tmp_path):
    store = write_dataset(tmp_path / "toy.zarr", FACTS, [new_case("a")])
    table, array = store.path / "zarr.json", store.path / "image" / "zarr.json"
    for file, old, new in ((table, '"domain": "CT"', '"domain": "CX"'), (array, '"/"', '"."')):
        text = file.read_text()
        assert text != text.replace(old, new)
        file.write_text(text.replace(old, new))
        with pytest.raises(StoreError, match=r"was changed after the import; import it again"):
            DatasetStore.open(store.path)
        file.write_text(text)
    assert DatasetStore.open(store.path).damaged_cases() == ()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"format": "sweeper-embeddings"},
            "is a Zarr store, but not a dataset store; choose another path",
        ),
        ({"complete": False}, "is incomplete; import it again to finish it"),
        (
            {"version": 99},
            "has format version 99, but this sweeper reads 1; import the dataset again",
        ),
    ],
)
def test_a_store_that_is_not_a_finished_dataset_is_refused(tmp_path, change, line):
    store = write_dataset(tmp_path / "toy.zarr", FACTS, [new_case("a")])
    meta = json.loads((store.path / "zarr.json").read_text())
    meta["attributes"] |= change
    (store.path / "zarr.json").write_text(json.dumps(meta))
    with pytest.raises(StoreError) as caught:
        DatasetStore.open(store.path)
    assert str(caught.value).endswith(line)


def test_a_folder_that_is_not_a_store_is_refused_with_the_command_to_make_one(tmp_path):
    with pytest.raises(StoreError, match="is not a dataset store; make one with"):
        DatasetStore.open(tmp_path / "prostate.zarr")


def test_names_that_the_dataset_lacks_are_answered_with_those_it_has(tmp_path):
    store = write_dataset(tmp_path / "toy.zarr", FACTS, [new_case("a")])
    with pytest.raises(StoreError, match="no domain 'PET'; it has CT"):
        store.cases_of("PET")
    with pytest.raises(StoreError, match="no structure 'kidney'; it has liver, spleen"):
        store.mask(0, "kidney")
    with pytest.raises(StoreError, match="no case 'z'"):
        store.case("z")


def test_a_failed_write_leaves_the_old_store_unchanged(tmp_path):
    before = write_dataset(tmp_path / "toy.zarr", FACTS, [new_case("a")]).fingerprint
    with pytest.raises(StoreError, match=r"case b has slices of shape \(3, 8, 8\)"):
        write_dataset(tmp_path / "toy.zarr", FACTS, [new_case("a"), new_case("b", channels=3)])
    assert DatasetStore.open(tmp_path / "toy.zarr").fingerprint == before
    with pytest.raises(StoreError, match="has no cases to write"):
        write_dataset(tmp_path / "toy.zarr", FACTS, [])
