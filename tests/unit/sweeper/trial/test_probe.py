"""A probe measures a kind of training and leaves nothing behind."""

from __future__ import annotations

import pytest
import torch
from fake_dataset import write_small_dataset

from sweeper.config.trial import TrialConfig
from sweeper.trial.probe import probe


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probe")
    store = write_small_dataset(folder / "small.zarr")
    config = TrialConfig.model_validate(
        {
            "source": "A-ISBI",
            "structure": "prostate",
            "method": {"name": "unet", "network": {"width": 4, "stages": 3, "input_px": 32}},
            "training": {"epochs": 50, "batch_size": 2},
        }
    )
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    threads = torch.get_num_threads()
    result = probe(config, str(store.path), None, batches=1, threads=1)
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    return result, before == after, threads


def test_times_memory_and_parameters_are_positive(measured):
    seconds, scored_seconds, peak_bytes, parameters = measured[0]
    assert 0 < seconds < 10
    assert 0 < scored_seconds < 10
    assert peak_bytes > 79_000_000  # at least what a worker has beyond a probe
    assert parameters > 1000


def test_no_file_is_written_and_the_number_of_threads_is_restored(measured):
    assert measured[1]
    assert torch.get_num_threads() == measured[2]
