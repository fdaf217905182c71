"""Files that nobody wrote on purpose: one line of an error, no traceback, no hang, no big memory.

SWEEPER_SLOW_TESTS=1 tries hundreds of times as many.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch
from fake_dataset import write_small_dataset
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from toy_embeddings import fill, make_manifest

from desam_model.checkpoint_file import read_checkpoint
from sweeper.config.sweep import check_sweep
from sweeper.config.yaml_reader import parse_yaml
from sweeper.errors import ConfigError, StoreError, SweeperError
from sweeper.predict.model_folder import read_facts
from sweeper.store.dataset.store import DatasetStore
from sweeper.store.embeddings.store import EmbeddingStore
from sweeper.store.json_file import read_json

if TYPE_CHECKING:
    from pathlib import Path

IS_SLOW = os.environ.get("SWEEPER_SLOW_TESTS") == "1"
FEW = settings(
    max_examples=2000 if IS_SLOW else 12,
    deadline=None,
    derandomize=not IS_SLOW,
    database=None,
    suppress_health_check=list(HealthCheck),
)

SPACE = """
name: t
seeds: [0, 1]
trial:
  source: {grid: [A-ISBI, D-UCL]}
  method: {name: desam, lr: {loguniform: [1.0e-5, 1.0e-3]}}
  training: {epochs: 5, batch_size: 4}
"""

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def mutations(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with a few bytes replaced, inserted or cut off."""
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, max(0, len(changed) - 1)))
        kind = draw(st.sampled_from(["replace", "insert", "cut", "delete"]))
        piece = draw(st.binary(min_size=1, max_size=6))
        if kind == "replace":
            changed[position : position + len(piece)] = piece
        elif kind == "insert":
            changed[position:position] = piece
        elif kind == "delete":
            del changed[position : position + len(piece)]
        else:
            del changed[position + 1 :]
    return bytes(changed)


@FEW
@given(mutations(SPACE.encode()))
@example(b"name: t\ntrial: {seed: !!int x}")
@example(b"name: t\ntrial: {seed: " + b"9" * 5000 + b"}")
@example(b"name: t\n\x00")
@example(b"a: &a [*a]")
@example(b"[" * 5000)
@example(b"a: !!python/object/apply:os.system [id]")
@example(b"a: !!timestamp 2001-13-45")
@example(b"? {a: b}\n: c")
def test_any_text_is_a_search_space_or_one_line(content: bytes) -> None:
    with contextlib.suppress(SweeperError):
        check_sweep(parse_yaml(content.decode("utf-8", "replace")))


def test_aliases_of_aliases_do_not_fill_the_memory() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(ConfigError, match="more than 100000 values, with those that aliases"):
        parse_yaml("\n".join(lines))


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bad")
    write_small_dataset(root / "d.zarr")
    fill(root / "e.zarr", make_manifest())
    torch.save({"format": 1, "weights": {"a": torch.arange(6.0)}}, root / "best.pt")
    return root


def try_content(path: Path, content: bytes, read: Any, refusal: Any = SweeperError) -> None:
    """Read a file with other content; what is allowed is a value or the refusal."""
    original = path.read_bytes()
    try:
        path.write_bytes(content)
        with contextlib.suppress(refusal):
            read()
    finally:
        path.write_bytes(original)


def read_dataset(path: Path) -> None:
    store = DatasetStore.open(path)
    for case in store.cases:
        store.case_images(case), store.case_labels(case)


def read_embeddings(path: Path) -> None:
    store = EmbeddingStore.open(path)
    for index in store.commits:
        if index < store.n_slices:
            store.embedding(index)


@FEW
@given(st.data())
def test_any_description_of_a_store_is_read_or_refused(stores: Path, data: st.DataObject) -> None:
    for name, read in (("d.zarr", read_dataset), ("e.zarr", read_embeddings)):
        file = stores / name / "zarr.json"
        content = data.draw(mutations(file.read_bytes()))
        try_content(file, content, lambda path=file.parent, read=read: read(path))


@FEW
@given(st.data())
def test_any_value_in_a_manifest_of_an_earlier_version_is_read_or_refused(
    stores: Path, data: st.DataObject
) -> None:
    """Those have no checksum, so their values reach the code that uses them."""
    for name, read in (("d.zarr", read_dataset), ("e.zarr", read_embeddings)):
        file = stores / name / "zarr.json"
        meta = json.loads(file.read_text())
        values = meta["attributes"].get("sweeper_embeddings", meta["attributes"])
        values.pop("checksum")
        key = data.draw(st.sampled_from(sorted(values)))
        values[key] = data.draw(plain)
        content = json.dumps(meta).encode()
        try_content(file, content, lambda path=file.parent, read=read: read(path))


@FEW
@given(st.data())
def test_any_journal_and_any_slice_is_read_or_refused(stores: Path, data: st.DataObject) -> None:
    journal = stores / "e.zarr" / "commits.jsonl"
    chunk = stores / "e.zarr" / make_manifest().chunk_key("neck", 1)
    for file in (journal, chunk):
        content = data.draw(mutations(file.read_bytes()))
        try_content(file, content, lambda: read_embeddings(stores / "e.zarr"))


@FEW
@given(st.data())
def test_any_checkpoint_is_read_or_refused(stores: Path, data: st.DataObject) -> None:
    file = stores / "best.pt"
    content = data.draw(mutations(file.read_bytes()) | st.binary(max_size=60))
    try_content(file, content, lambda: read_checkpoint(file), ValueError)


@FEW
@given(st.binary(max_size=40) | plain.map(lambda value: json.dumps(value).encode()))
@example(b"[" * 100_000)
@example(b'{"format": "sweeper-model", "version": 1}')
def test_any_record_and_any_model_folder_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("model")
    (folder / "model.json").write_bytes(content)
    with pytest.raises(StoreError):
        read_facts(folder)
    with contextlib.suppress(StoreError):
        read_json(folder / "model.json")
    shutil.rmtree(folder)
