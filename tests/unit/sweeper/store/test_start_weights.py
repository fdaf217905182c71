"""MedSAM's own initial weights, from the search space to the plan."""

from __future__ import annotations

import hashlib

import pytest
from fake_dataset import write_small_dataset

from sweeper.config.trial import TrialConfig
from sweeper.errors import StoreError
from sweeper.pipeline.data.sources import DataSource
from sweeper.pipeline.display import Silent
from sweeper.store.workspace import Workspace


@pytest.fixture
def facts_of(tmp_path):
    dataset = write_small_dataset(tmp_path / "small.zarr")
    workspace = Workspace.open(tmp_path / "workspace")
    source = DataSource(workspace, Silent(), makes_embeddings=False)

    def facts(**options):
        method = {"name": "medsam", **options}
        values = {"source": "A-ISBI", "dataset": str(dataset.path), "method": method}
        return source.facts(TrialConfig.model_validate(values))

    return facts


def test_medsams_decoder_starts_from_its_own_weights(facts_of, tmp_path):
    file = tmp_path / "medsam_vit_b.pth"
    file.write_bytes(b"weights")
    default, medsam = facts_of(), facts_of(start=str(file))
    assert (default.checkpoint, default.start) == (None, None)
    assert medsam.checkpoint == str(file)
    assert medsam.start == hashlib.sha256(b"weights").hexdigest()
    assert medsam.embedding_fingerprint == default.embedding_fingerprint


def test_missing_initial_weights_are_one_clear_line(facts_of, tmp_path):
    with pytest.raises(StoreError, match="remove it to start from the encoder"):
        facts_of(start=str(tmp_path / "nowhere.pth"))
