"""One flipped bit in a file of the workspace is found, and never becomes a number."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from tiny_workspace import UNET, make_workspace
from toy_embeddings import fill, make_manifest

from desam_model.training.state import load_weights
from sweeper.cli import main
from sweeper.config.trial import TrialConfig
from sweeper.errors import SweeperError
from sweeper.pipeline.data.sources import DataSource
from sweeper.pipeline.display import Silent
from sweeper.pipeline.health.doctor import examine, repair
from sweeper.pipeline.running.record import training_record
from sweeper.plan.expand import make_plan
from sweeper.store.dataset.store import DatasetStore
from sweeper.store.embeddings.store import EmbeddingStore
from sweeper.store.ledger import Ledger
from sweeper.store.workspace import Workspace
from sweeper.tracking.mlflow_tracker import MlflowTracker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# mlflow's own dependencies warn while they are imported
pytestmark = pytest.mark.filterwarnings("ignore")

SWEEP = "flips@tiny"
REFUSED = "refused"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = make_workspace(tmp_path_factory.mktemp("flips"), [{"method": UNET}], epochs=2)
    fill(workspace.embeddings / "toy.zarr", make_manifest())
    log(workspace)
    return workspace


def log(workspace: Workspace) -> None:
    """Put the training into MLflow, and all of MLflow into one file."""
    (folder,) = Ledger(workspace.trainings)
    config = TrialConfig.model_validate(folder.config()["config"])
    plan = make_plan("flips", [config], DataSource(workspace, Silent()).facts)
    tracker = MlflowTracker(workspace)
    tracker.prepare(SWEEP, {"cells": plan.cells(), "report": {}, "dataset": {}, "encoder": {}})
    tracker.log_training(training_record(plan.trainings[0], folder, SWEEP))
    with contextlib.closing(sqlite3.connect(workspace.mlflow_db)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def files(workspace: Workspace) -> dict[str, list[Path]]:
    """What can become a number, by kind, so that each kind is hit as often."""
    patterns = {
        "dataset's description": "datasets/*.zarr/**/zarr.json",
        "dataset's slices": "datasets/*.zarr/*/c/**/*",
        "embeddings' description": "embeddings/*.zarr/**/zarr.json",
        "embeddings' journal": "embeddings/*.zarr/commits.jsonl",
        "embeddings' slices": "embeddings/*.zarr/*/c.*",
        "records": "trainings/*/[cf]*.json",
        "scores": "trainings/*/evaluations/*/scores.json",
        "masks": "trainings/*/evaluations/*/*.npz",
        "checkpoints": "trainings/*/*.pt",
        "database": "mlflow.db",
        "tracked files": "mlflow-artifacts/**/*.json",
    }
    found = {
        kind: sorted(path for path in workspace.root.glob(pattern) if path.is_file())
        for kind, pattern in patterns.items()
    }
    assert all(found.values()), found
    return found


def numbers(workspace: Workspace) -> dict[str, Any]:
    """Everything that is read to train, to score or to print, by kind; REFUSED where it is not."""
    (folder,) = Ledger(workspace.trainings)
    readers: dict[str, Callable[[], Any]] = {
        "dataset": lambda: dataset_content(workspace),
        "embeddings": lambda: embedding_content(workspace),
        "config": folder.config,
        "fit": folder.fit,
        "scores": lambda: [folder.evaluation(e) for e in folder.evaluations()],
        "weights": lambda: plain(load_weights(folder.path / "best.pt")),
        "tracked": lambda: tracked_content(workspace),
    }
    return {kind: attempt(read) for kind, read in readers.items()}


def attempt(read: Callable[[], Any]) -> Any:
    try:
        return repr(read())
    except (SweeperError, ValueError):
        return REFUSED


def dataset_content(workspace: Workspace) -> Any:
    store = DatasetStore.open(workspace.datasets / "tiny.zarr")
    voxels = [(store.image(i).tobytes(), store.label(i).tobytes()) for i in range(store.n_slices)]
    return store.cases, store.fingerprint, store.structures, voxels


def embedding_content(workspace: Workspace) -> Any:
    (path,) = workspace.embeddings.glob("*.zarr")
    store = EmbeddingStore.open(path)
    if not store.is_complete():
        raise ValueError("it is completed before it is read")
    slices = [store.embedding(index) for index in range(store.n_slices)]
    maps = [[t.numpy().tobytes() for t in (*s.taps, s.neck)] for s in slices]
    return store.manifest.to_json(), maps


def plain(weights: dict[str, Any]) -> Any:
    return {name: value.numpy().tobytes() for name, value in weights.items()}


def tracked_content(workspace: Workspace) -> Any:
    """The run's numbers; a run that is not there, or has no scores, is a dash in the table."""
    results = MlflowTracker(workspace).results([SWEEP])
    if not results.runs or not results.runs[0].scores:
        raise ValueError("nothing to print")
    (run,) = results.runs
    tags = {key: value for key, value in run.tags.items() if not key.startswith("mlflow.")}
    tags.pop("checksum", None)
    return run.train_id, run.status, dict(run.params), tags, dict(run.summary), run.scores


def flip_bits(workspace: Workspace, seed: int, flips: int) -> tuple[int, list[str]]:
    """How many flips were found, and where one was neither found nor harmless."""
    draw = random.Random(seed)
    before, kinds = numbers(workspace), files(workspace)
    assert REFUSED not in before.values()
    assert examine(workspace).findings == ()
    n_found, wrong = 0, []
    for number in range(flips):
        path = draw.choice(kinds[sorted(kinds)[number % len(kinds)]])
        content = path.read_bytes()
        position, bit = draw.randrange(len(content)), draw.randrange(8)
        changed = bytearray(content)
        changed[position] ^= 1 << bit
        path.write_bytes(changed)
        try:
            after, findings = numbers(workspace), examine(workspace).findings
            is_read = all(after[kind] in (before[kind], REFUSED) for kind in before)
            is_harmless = after == before
            n_found += bool(findings)
            if not is_read or not (findings or is_harmless or is_completed(after)):
                wrong.append(f"{path.relative_to(workspace.root)}, bit {bit} of byte {position}")
        finally:
            path.write_bytes(content)
    return n_found, wrong


def is_completed(after: dict[str, Any]) -> bool:
    """A lost line of the journal is a slice that the next run computes again."""
    return after["embeddings"] == REFUSED and list(after.values()).count(REFUSED) == 1


@pytest.mark.parametrize(("seed", "flips"), [(0, 15), pytest.param(1, 200, marks=pytest.mark.slow)])
@pytest.mark.timeout(3000)
def test_a_flipped_bit_is_found_and_never_becomes_a_number(
    workspace: Workspace, seed: int, flips: int, record_property: Callable[[str, object], None]
) -> None:
    n_found, wrong = flip_bits(workspace, seed, flips)
    record_property("found", n_found)
    assert wrong == []
    assert n_found > flips / 3  # the others hit unused bytes, such as a database's free pages


def test_what_the_doctor_moves_aside_is_what_the_same_run_makes_again(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = Workspace(shutil.copytree(workspace.root, tmp_path / "ws"))
    (folder,) = Ledger(copied.trainings)
    (scores,) = folder.path.glob("evaluations/*/scores.json")
    for path in (scores, folder.path / "best.pt", next(copied.mlflow_artifacts.rglob("rows.json"))):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    with pytest.raises(SystemExit) as exited:
        main(["--workspace", str(copied.root), "doctor"])
    out, err = capsys.readouterr()
    assert exited.value.code == 2
    assert "3 things damaged; mend with 'sweeper" in err
    assert f"damaged: {scores}: damaged (its content does not match its checksum)" in out
    aside = repair(copied, examine(copied).findings)
    assert not scores.exists()
    assert not (folder.path / "best.pt").exists()  # with fit.json, and last.pt stays: it resumes
    assert folder.fit() is None
    assert (folder.path / "last.pt").is_file()
    assert (aside / scores.relative_to(copied.root)).is_file()
    assert (aside / "trainings" / folder.train_id / "best.pt").is_file()
    assert examine(copied).findings == ()
