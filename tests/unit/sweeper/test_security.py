"""What a file from somebody else cannot do (SECURITY.md)."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from earlier_version import edit
from toy_embeddings import fill, make_manifest

from desam_model.checkpoint_file import read_checkpoint
from sweeper.errors import StoreError
from sweeper.predict.model_folder import read_facts
from sweeper.store.dataset.store import DatasetStore
from sweeper.store.embeddings.store import EmbeddingStore


class Payload:
    """Unpickling it creates a file: in a test the proof, in an attack anything."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        return os.open, (str(self.proof), os.O_CREAT | os.O_WRONLY)


@pytest.fixture
def proof(tmp_path: Path) -> Path:
    path = tmp_path / "proof"
    os.close(pickle.loads(pickle.dumps(Payload(path))))
    assert path.exists()
    path.unlink()
    return path


def archive_with(pickled: bytes, path: Path) -> Path:
    """A checkpoint of torch whose pickle is another one."""
    torch.save({"format": 1, "weights": {}}, path)
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, content in parts.items():
            new.writestr(name, pickled if name.endswith("data.pkl") else content)
    return path


@pytest.mark.parametrize("form", ["archive", "plain pickle", "saved by torch", "legacy"])
@pytest.mark.parametrize("is_mapped", [False, True])
def test_a_checkpoint_is_never_unpickled(
    tmp_path: Path, proof: Path, form: str, is_mapped: bool
) -> None:
    path = tmp_path / "best.pt"
    if form == "archive":
        archive_with(pickle.dumps(Payload(proof)), path)
    elif form == "plain pickle":
        path.write_bytes(pickle.dumps({"weights": Payload(proof)}))
    else:
        torch.save(
            {"weights": Payload(proof)},
            path,
            _use_new_zipfile_serialization=form == "saved by torch",
        )
    with pytest.raises(ValueError, match=r"cannot be read as a checkpoint"):
        read_checkpoint(path, is_mapped=is_mapped)
    assert not proof.exists()


def test_a_checkpoint_is_not_unpacked_to_any_size(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    torch.save({"weights": torch.zeros(2**22)}, path)
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in parts.items():
            new.writestr(name, content)
    assert path.stat().st_size < 2**17
    with pytest.raises(ValueError, match="has compressed parts, as torch never writes"):
        read_checkpoint(path)


def test_an_embedding_store_is_never_unpickled(tmp_path: Path, proof: Path) -> None:
    path = tmp_path / "e.zarr"
    store = fill(path, make_manifest(codec="zstd"))
    (path / "tap0" / "zarr.json").unlink()
    old = {"zarr_format": 2, "shape": [6], "chunks": [1], "dtype": "|O", "order": "C"}
    old |= {"filters": [{"id": "pickle", "protocol": 5}], "compressor": None, "fill_value": 0}
    (path / "tap0" / ".zarray").write_text(json.dumps(old))
    (path / "tap0" / "0").write_bytes(pickle.dumps(np.array([Payload(proof)], dtype=object)))
    with pytest.raises(StoreError, match="tap0 cannot be decoded"):
        EmbeddingStore.open(path).embedding(0)
    assert not proof.exists()
    assert store.is_complete()


def test_a_case_of_a_dataset_cannot_name_a_file_elsewhere(tmp_path: Path) -> None:
    from fake_dataset import write_small_dataset

    store = write_small_dataset(tmp_path / "d.zarr")
    cases = json.loads((store.path / "zarr.json").read_text())["attributes"]["cases"]
    for name in ("../../escaped", "..", "/etc/passwd", "a\\b"):
        edit(store.path, cases=[{**cases[0], "case": name}, *cases[1:]])
        with pytest.raises(StoreError, match="is not a name that a file can have"):
            DatasetStore.open(store.path)


def test_a_model_folder_holds_text_and_tensors_only(tmp_path: Path, proof: Path) -> None:
    (tmp_path / "model.json").write_bytes(pickle.dumps(Payload(proof)))
    with pytest.raises(StoreError, match=r"model\.json cannot be read"):
        read_facts(tmp_path)
    assert not proof.exists()


def test_no_module_unpickles() -> None:
    """Ray moves jobs as text; only its own transport pickles."""
    root = Path(__file__).resolve().parents[3]
    calls = ("pickle.load", "pickle.Unpickler", "weights_only=False", "allow_pickle=True",
             "joblib.load", "yaml.load(", "yaml.unsafe_load", "eval(", "exec(")  # fmt: skip
    sources = [*(root / "sweeper").rglob("*.py"), *(root / "desam_model").rglob("*.py")]
    found = [
        f"{path.relative_to(root)}: {call}"
        for path in sources
        for call in calls
        if call in path.read_text().replace(".eval(", "").replace("bn_eval(", "")
    ]
    assert found == []


def test_the_switches_of_dependencies_that_report_usage_are_off() -> None:
    code = "import os, sweeper; print(*(os.environ[name] for name in %r))"
    names = ("MLFLOW_DISABLE_TELEMETRY", "RAY_USAGE_STATS_ENABLED", "DO_NOT_TRACK")
    done = subprocess.run(
        [sys.executable, "-c", code % (names,)],
        capture_output=True,
        text=True,
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "1"},
        timeout=200,
        check=True,
    )
    assert done.stdout.split() == ["true", "0", "true"]
