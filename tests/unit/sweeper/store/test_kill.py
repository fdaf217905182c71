"""`kill -9` at any moment, any number of times, and two processes at once."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from fake_dataset import FakeDataset

from desam_model.encoder.frozen import FrozenEncoder
from sweeper.pipeline.embed import ensure_embeddings
from sweeper.store.embeddings.commits import read_journal
from sweeper.store.embeddings.store import EmbeddingStore
from sweeper.store.workspace import Workspace

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@dataclass
class LoggedDataset(FakeDataset):
    """Logs which slices each process read."""

    log: Path = Path("log")

    def image(self, index):
        with self.log.open("a") as file:
            file.write(f"{os.getpid()} {index}\n")
        return super().image(index)


def log_encoded(log: Path) -> None:
    """Make this process log how many slices it encodes."""
    encode = FrozenEncoder.encode

    def logged(self, frames):
        with log.open("a") as file:
            file.write(f"{len(frames)}\n")
        return encode(self, frames)

    FrozenEncoder.encode = logged


def start_embedding(tmp_path: Path, store: str, n_slices: int = 80) -> int:
    """A process that embeds the dataset; returns its id."""
    child = os.fork()
    if child:
        return child
    try:
        torch.set_num_threads(1)
        workspace = Workspace.open(tmp_path / "workspace")
        log_encoded(tmp_path / f"{store}.encoded")
        dataset = LoggedDataset(per_case=n_slices // 2, log=tmp_path / f"{store}.log")
        ensure_embeddings(workspace, dataset, "vit_tiny", into=tmp_path / store)
    except BaseException:
        os._exit(1)
    os._exit(0)


def digest(path: Path) -> dict[str, str]:
    return {
        f"{c.parent.name}/{c.name}": hashlib.sha256(c.read_bytes()).hexdigest()
        for c in path.glob("*/c.*")
    }


def committed_slices(path: Path) -> Counter[int]:
    return Counter(
        json.loads(line)["slice"] for line in (path / "commits.jsonl").read_text().splitlines()
    )


def read_slices(log: Path) -> dict[int, Counter[int]]:
    """How often each process read each slice, without truncated last lines."""
    reads: dict[int, Counter[int]] = {}
    for line in log.read_text().splitlines() if log.exists() else ():
        process, index = line.split()
        reads.setdefault(int(process), Counter())[int(index)] += 1
    return reads


def finish(child: int) -> None:
    _, status = os.waitpid(child, 0)
    assert status == 0


def uninterrupted(folder: Path, n_slices: int) -> tuple[dict[str, str], float]:
    """The bytes of a store written without interruption, and how long it took."""
    start = time.monotonic()
    finish(start_embedding(folder, "whole.zarr", n_slices))
    return digest(folder / "whole.zarr"), time.monotonic() - start


@pytest.mark.parametrize(
    ("rounds", "n_slices"), [(3, 80), pytest.param(20, 640, marks=pytest.mark.slow)]
)
def test_kill_9_at_any_moment_costs_a_few_blocks_and_no_byte(tmp_path, rounds, n_slices):
    wanted, seconds = uninterrupted(tmp_path, n_slices)
    draw = random.Random(rounds)
    kills = 0
    committed_before: dict[int, set[int]] = {}
    for _ in range(rounds):
        before = set(read_journal(tmp_path / "killed.zarr"))
        child = start_embedding(tmp_path, "killed.zarr", n_slices)
        committed_before[child] = before
        time.sleep(draw.uniform(0.0, 3.0 * seconds / (rounds + 2)))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        kills += status == signal.SIGKILL and len(before) < n_slices
    finish(start_embedding(tmp_path, "killed.zarr", n_slices))
    store = EmbeddingStore.open(tmp_path / "killed.zarr")
    assert kills > 0
    assert store.is_complete()
    assert digest(store.path) == wanted
    assert set(committed_slices(store.path).values()) == {1}
    assert not list(tmp_path.rglob("*.partial"))
    for process, slices in read_slices(tmp_path / "killed.zarr.log").items():
        # A process encodes a slice once, and none that was committed when it started: so a kill
        # costs a slice at most one more encoding.
        assert set(slices.values()) == {1}
        assert not set(slices) & committed_before.get(process, set())
    block = store.manifest.block
    encoded = sum(map(int, (tmp_path / "killed.zarr.encoded").read_text().split()))
    # one block was being encoded, up to three were encoded but not committed
    assert n_slices <= encoded <= n_slices + 4 * block * kills
    logging.getLogger(__name__).info("%d kills: %d of %d encoded", kills, encoded, n_slices)


def test_two_processes_at_once_make_one_store_and_encode_every_slice_once(tmp_path):
    wanted, _ = uninterrupted(tmp_path, 80)
    children = [start_embedding(tmp_path, "shared.zarr") for _ in range(2)]
    for child in children:
        finish(child)
    assert digest(tmp_path / "shared.zarr") == wanted
    assert set(committed_slices(tmp_path / "shared.zarr").values()) == {1}
    (reads,) = read_slices(tmp_path / "shared.zarr.log").values()  # one did all, one waited
    assert set(reads.values()) == {1}
    assert (tmp_path / "shared.zarr.encoded").read_text().split() == ["16"] * 5
