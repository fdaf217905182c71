"""A training that reads a damaged embedding fails, and its message names the slice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fake_dataset import write_small_dataset

from sweeper.config.trial import TrialConfig
from sweeper.pipeline.embed import ensure_embeddings
from sweeper.plan.job import TrainingJob
from sweeper.store.ledger import TrainingFolder
from sweeper.store.workspace import Workspace
from sweeper.trial.worker import train_one

if TYPE_CHECKING:
    from pathlib import Path

    from sweeper.store.dataset.store import DatasetStore
    from sweeper.store.embeddings.store import EmbeddingStore


def job_on(dataset: DatasetStore, store: EmbeddingStore, folder: Path, sweep: str) -> str:
    """A training as the engine hands it to a worker."""
    config = TrialConfig.model_validate(
        {
            "source": "A-ISBI",
            "structure": "prostate",
            "method": {"name": "desam"},
            "training": {"epochs": 1},
        }
    )
    return TrainingJob(
        train_id="t",
        identity={},
        config=config,
        evaluations={"e": config},
        dataset=str(dataset.path),
        embeddings=str(store.path),
        folder=str(folder),
        threads=1,
        owner=sweep,
    ).to_json()


def test_a_flipped_byte_fails_the_training_and_names_slice_and_case(tmp_path):
    workspace = Workspace.open(tmp_path / "workspace")
    dataset = write_small_dataset(workspace.datasets / "small.zarr")
    store = ensure_embeddings(workspace, dataset, "vit_tiny")
    chunk = store.path / store.manifest.chunk_key("tap0", 2)
    content = bytearray(chunk.read_bytes())
    content[1000] ^= 1
    chunk.write_bytes(content)

    epochs: list[dict[str, object]] = []
    folder = TrainingFolder(tmp_path / "trainings" / "t")
    assert train_one(job_on(dataset, store, folder.path, "first"), 0, epochs.append) == "failed"
    failure = folder.failure()
    assert failure is not None
    assert failure.reason == "data"
    assert "slice 2 (case case-1, number 2 from 0)" in failure.message
    assert "--repair" in failure.message
    assert epochs == []
    assert folder.fit() is None

    content[1000] ^= 1
    chunk.write_bytes(content)
    again = job_on(dataset, store, folder.path, "second")
    assert train_one(again, 0, epochs.append) == "completed"
    assert len(epochs) == 1
    assert folder.has_evaluation("e")
