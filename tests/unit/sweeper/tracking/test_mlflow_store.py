"""MLflow's store: created once, batches within MLflow's limits, one-line errors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from sweeper.errors import TrackingError
from sweeper.tracking.mlflow_store import MlflowStore, log_file, log_metrics, log_texts

if TYPE_CHECKING:
    from pathlib import Path

# mlflow's own dependencies warn while they are imported and while tables are made
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def store(root: Path) -> MlflowStore:
    return MlflowStore(root / "mlflow.db", root / "artifacts")


def test_more_parameters_tags_and_metrics_than_one_batch_are_all_stored(
    store: MlflowStore, root: Path
) -> None:
    params = {f"p{n}": str(n) for n in range(230)}
    tags = {f"t{n}": str(n) for n in range(210)}
    metrics = [("loss", 1.0 / (n + 1), 1000, n) for n in range(1500)]
    picture = root / "picture.bin"
    picture.write_bytes(b"abc")
    with store.writing() as client:
        experiment = client.create_experiment("e", artifact_location=(root / "artifacts").as_uri())
        run_id = client.create_run(experiment).info.run_id
        log_texts(client, run_id, params, tags)
        log_metrics(client, run_id, metrics)
        log_file(client, run_id, "figures/other name.bin", picture)
        run = client.get_run(run_id)
        points = client.get_metric_history(run_id, "loss")
    assert run.data.params == params
    assert tags.items() <= run.data.tags.items()
    assert {(point.step, point.value) for point in points} == {
        (step, value) for _, value, _, step in metrics
    }
    stored = root / "artifacts" / run_id / "artifacts" / "figures" / "other name.bin"
    assert stored.read_bytes() == b"abc"
    assert picture.read_bytes() == b"abc"


def test_two_stores_that_open_at_once_share_one_database(tmp_path: Path) -> None:
    def create(name: str) -> str:
        with MlflowStore(tmp_path / "mlflow.db", tmp_path / "artifacts").writing() as client:
            return str(client.create_experiment(name))

    with ThreadPoolExecutor(2) as pool:
        ids = list(pool.map(create, ["a", "b"]))
    assert len(set(ids)) == 2
    with MlflowStore(tmp_path / "mlflow.db", tmp_path / "artifacts").writing() as client:
        assert {e.name for e in client.search_experiments()} == {"a", "b", "Default"}
    assert not list(tmp_path.glob(".mlflow.db*"))


def test_an_error_of_mlflow_is_one_line_that_names_the_database(store: MlflowStore) -> None:
    error = pytest.raises(TrackingError, match=r"mlflow\.db cannot be written")
    with error as caught, store.writing() as client:
        client.get_run("no-such-run")
    assert "\n" not in str(caught.value)
