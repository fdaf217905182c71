"""A plan says of every embedding store how large it is and what is missing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from toy_embeddings import fill, make_manifest

from desam_model.encoder.registry import encoder_entry
from sweeper.cli.terminal.plan_text import store_lines
from sweeper.config.sweep import load_sweep
from sweeper.pipeline.data.store_needs import store_need

SPACES = Path(__file__).resolve().parents[5] / "search_spaces"


def test_a_store_that_is_not_there_lacks_everything(tmp_path):
    manifest = make_manifest()
    need = store_need(tmp_path / "a.zarr", manifest)
    assert (need.n_missing, need.missing_bytes) == (6, 6 * manifest.slice_bytes)
    assert need.flops == 6 * encoder_entry("vit_tiny").flops_per_slice
    assert need.seconds() > 0


def test_a_started_and_a_complete_store_lack_the_rest_and_nothing(tmp_path):
    manifest = make_manifest()
    fill(tmp_path / "a.zarr", manifest, indices=[0, 1])
    assert store_need(tmp_path / "a.zarr", manifest).n_missing == 4
    fill(tmp_path / "a.zarr", manifest)
    need = store_need(tmp_path / "a.zarr", manifest)
    assert (need.n_missing, need.missing_bytes, need.seconds()) == (0, 0, 0.0)
    assert need.total_bytes == 6 * manifest.slice_bytes


def test_the_plan_has_a_line_per_store(tmp_path):
    manifest = make_manifest()
    fill(tmp_path / "full.zarr", manifest)
    stores = [store_need(tmp_path / name, manifest) for name in ("full.zarr", "empty.zarr")]
    sizes = {"stores": stores, "checkpoint_bytes": 0, "free_bytes": 10**9}
    full, empty, disk = store_lines(SimpleNamespace(**sizes, is_probed=False))
    assert full == "embeddings full.zarr, 6 kB: complete, 6 slices"
    assert empty == "embeddings empty.zarr, 6 kB: 6 of 6 slices missing"
    assert disk == "disk: needs 6 kB for embeddings, 1.0 GB free"
    _, timed, _ = store_lines(SimpleNamespace(**sizes, is_probed=True))
    assert timed.startswith(f"{empty}, about ")


@pytest.mark.parametrize(
    ("space", "stores"),
    [
        ("encoders", {("vit_tiny", "float16", 2), ("lite_medsam", "float16", 2)}),
        (
            "compression",
            {("lite_medsam", p, pool) for p in ("float16", "int8") for pool in (2, 4)},
        ),
    ],
)
def test_the_shipped_spaces_are_sweeps_over_several_stores(space, stores):
    trials = load_sweep(SPACES / f"{space}.yaml").trials
    assert {(t.encoder.name, t.encoder.precision, t.encoder.pool) for t in trials} == stores
