"""The embed, embeddings and weights commands on a small real dataset store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import fault_sources as sources
import pytest
from click.testing import CliRunner
from fake_dataset import write_small_dataset

from sweeper.cli import cli
from sweeper.engine.embed import Workers, actors_that_fit
from sweeper.errors import ResourceError, StoreError, WeightsError
from sweeper.pipeline.data.importing import import_dataset
from sweeper.pipeline.embed import ensure_embeddings
from sweeper.store.embeddings.store import EmbeddingStore
from sweeper.store.embeddings.writer import StoreWriter
from sweeper.store.workspace import Workspace

if TYPE_CHECKING:
    from sweeper.store.dataset.store import DatasetStore


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> DatasetStore:
    return write_small_dataset(tmp_path_factory.mktemp("workspace") / "datasets" / "small.zarr")


def run(dataset: DatasetStore, *arguments: str):
    workspace = str(dataset.path.parents[1])
    return CliRunner().invoke(cli, ["--workspace", workspace, *arguments], catch_exceptions=True)


def test_a_store_is_made_listed_verified_repaired_converted_and_removed(dataset):
    made = run(dataset, "embed", "small")
    assert made.exit_code == 0, made.output
    assert "embedding 6 of 6 slices of small with vit_tiny" in made.output
    assert "slices 6/6" in made.output
    store = EmbeddingStore.open(next(dataset.path.parents[1].glob("embeddings/*.zarr")))
    again = run(dataset, "embed", "small")
    assert "embedding" not in again.output.replace(str(store.path), "")

    chunk = store.path / "neck" / "c.4.0.0.0"
    good = chunk.read_bytes()
    chunk.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    bad = run(dataset, "embeddings", "verify")
    assert isinstance(bad.exception, StoreError)
    assert "slice 4 (case case-2" in bad.output
    repaired = run(dataset, "embeddings", "verify", store.path.name, "--repair")
    assert repaired.exit_code == 0
    assert "6 slices, 1 re-created" in repaired.output
    assert chunk.read_bytes() == good
    compared = run(dataset, "embeddings", "verify", "--encode", "2")
    assert "2 slices encoded again: largest relative difference" in compared.output

    int8 = run(dataset, "embed", "small", "--precision", "int8")
    assert "int8 against float16 on 3 slices: error at most" in int8.output
    listed = run(dataset, "embeddings", "list")
    assert listed.output.count("6/6 slices") == 2
    asked = run(dataset, "embeddings", "gc")  # no answer means no
    assert "small-vit_tiny-float16" in asked.output
    assert store.path.exists()
    removed = run(dataset, "embeddings", "gc", "--yes")
    assert removed.exit_code == 0
    assert not list(store.path.parent.glob("*.zarr"))


def test_the_rest_of_the_scans_is_embedded_when_asked_and_used_by_the_same_trainings(tmp_path):
    workspace = tmp_path / "workspace"
    source = sources.saml(tmp_path / "src")
    data = import_dataset(source, workspace / "datasets" / "small.zarr").store
    made = run(data, "embed", "small", "--whole-scan")
    assert made.exit_code == 0, made.output
    assert "embedding 12 of 12 slices of small with" in made.output
    assert "embedding 4 of 4 slices of small without a reference with" in made.output
    stores = {p.name.split("-vit")[0]: p for p in workspace.glob("embeddings/*.zarr")}
    assert set(stores) == {"small", "small-background"}
    compared = run(data, "embeddings", "verify", "--encode", "2")
    assert compared.output.count("largest relative difference") == 2
    shown = EmbeddingStore.open(stores["small"])
    folder = workspace / "trainings" / "t1"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"identity": {"embedding": shown.fingerprint}}))
    listed = run(data, "embeddings", "list")
    assert listed.output.count("used by 1 trainings") == 2


def test_whole_scans_of_a_dataset_without_them_are_refused(dataset):
    refused = run(dataset, "embed", "small", "--whole-scan")
    assert isinstance(refused.exception, StoreError)
    assert "--name small --replace" in str(refused.exception)


def test_a_store_that_is_being_written_is_not_removed(dataset):
    run(dataset, "embed", "small")
    path = next(dataset.path.parents[1].glob("embeddings/*.zarr"))
    with StoreWriter(path, EmbeddingStore.open(path).manifest):
        kept = run(dataset, "embeddings", "gc", "--yes")
    assert "is being written now; not removed" in kept.output
    assert path.exists()
    run(dataset, "embeddings", "gc", "--yes")
    assert not path.exists()


def test_a_store_is_pushed_to_a_url_and_pulled_back(dataset, tmp_path):
    url = f"file://{tmp_path}/shared"
    assert run(dataset, "embed", "small", "--push", url).exit_code == 0
    run(dataset, "embeddings", "gc", "--yes")
    pulled = run(dataset, "embed", "small", "--pull", url)
    assert pulled.exit_code == 0, pulled.output
    assert "embedding 6 of" not in pulled.output
    run(dataset, "embeddings", "gc", "--yes")


def test_a_missing_checkpoint_is_one_line_with_the_command(dataset):
    result = run(dataset, "embed", "small", "--encoder", "vit_h")
    assert isinstance(result.exception, WeightsError)
    assert "sweeper weights get vit_h" in str(result.exception)


@pytest.mark.parametrize("place", ["ftp://host/folder", "no/url/at/all"])
def test_an_address_that_is_not_a_store_is_one_line(dataset, place):
    result = run(dataset, "embed", "small", "--push", place)
    assert isinstance(result.exception, StoreError)
    assert "use an s3://, gs://, az:// or file://" in str(result.exception)
    assert len(str(result.exception).splitlines()) == 1
    run(dataset, "embeddings", "gc", "--yes")


def test_a_mirror_that_is_not_a_url_is_refused(dataset):
    result = run(dataset, "weights", "get", "vit_b", "--url", "mirror")
    assert isinstance(result.exception, WeightsError)
    assert "--url is 'mirror', expected a URL" in str(result.exception)


@pytest.mark.parametrize(
    ("workers", "resources", "count"),
    [
        (Workers(actors=None), {"CPU": 8.0}, 8),
        (Workers(actors=None, gpu=0.5), {"CPU": 8.0, "GPU": 3.0}, 6),
        (Workers(actors=None, gpu=1.0), {"CPU": 64.0, "GPU": 2.0}, 2),
        (Workers(actors=2, gpu=0.1), {"CPU": 4.0, "GPU": 1.0}, 2),
    ],
)
def test_there_is_one_actor_per_core_gpu_or_fraction_of_a_gpu(workers, resources, count):
    assert actors_that_fit(workers, resources) == count


@pytest.mark.parametrize(
    ("workers", "resources", "line"),
    [
        (Workers(actors=1, gpu=1.0), {"CPU": 2.0}, "has 0 GPU; ask for at most 0"),
        (Workers(actors=3, gpu=0.5), {"GPU": 1.0}, "3 actors with 0.5 GPU each .* at most 2"),
        (Workers(actors=9), {"CPU": 8.0}, "9 actors with 1 CPU each .* has 8 CPU"),
    ],
)
def test_too_many_actors_are_refused_at_once(workers, resources, line):
    with pytest.raises(ResourceError, match=line):
        actors_that_fit(workers, resources)


@pytest.mark.slow
def test_ray_actors_make_a_complete_store(dataset, tmp_path):
    workspace = Workspace.open(tmp_path)
    store = ensure_embeddings(workspace, dataset, "vit_tiny", workers=Workers(actors=2))
    here = ensure_embeddings(
        workspace, dataset, "vit_tiny", workers=Workers(), into=tmp_path / "here.zarr"
    )
    assert store.is_complete()
    for k in range(6):
        difference = store.embedding(k).neck.float() - here.embedding(k).neck.float()
        assert difference.abs().max() < 1e-2
