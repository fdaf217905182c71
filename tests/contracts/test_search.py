"""Searches on a real Ray with real workers, whose trainings follow scripts."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import optuna
import pytest
from scripted import EPOCHS, epoch_record, expected, hold, mark_of, workers_need_not_import
from scripted_search import ScriptedSearch

from sweeper.engine import cluster as ray_cluster
from sweeper.records import Placement, TrialStatus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

workers_need_not_import(__name__)
pytestmark = pytest.mark.filterwarnings("default")  # Ray's own deprecations are not ours

LIMIT = 900_000_000
GRID = "{algorithm: grid}"


def placement(**changes: Any) -> Placement:
    values = {"cpu": 1, "gpu": 0.0, "memory_bytes": 0, "max_concurrent": 2}
    return Placement(**{**values, "shares_processes": True, "hang_s": 600.0, **changes})


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray_cluster.start(None)
    yield
    ray_cluster.stop()


def assert_every_epoch_is_reported_once(search: ScriptedSearch) -> None:
    """Intermediate values of every trial are those of its training."""
    study = search.study()
    optunas = optuna.load_study(study_name=study.cell.name, storage=study.database.open())
    for trial in optunas.trials:
        number = int(trial.params["training.weight_decay"])
        n_epochs = 0 if trial.state.name == "FAIL" else trial.user_attrs["epochs"]
        values = {e + 1: epoch_record(e, number).source_dice for e in range(n_epochs)}
        assert trial.intermediate_values.items() >= values.items()


def test_a_search_meets_every_failure_by_the_rules_of_a_sweep(tmp_path: Path) -> None:
    scripts = {
        0: ["bug"],
        1: ["cuda_oom", 2],  # fits when a batch is split in two
        2: ["hog", LIMIT],  # fits with fewer beside it
        3: ["nan"],
        4: ["killed", 1],
        5: ["cuda_oom", 99],  # never fits
    }
    search = ScriptedSearch(tmp_path, scripts, 7, placement(memory_bytes=LIMIT), GRID)
    assert search.run() == 0
    tried = search.tried()
    completed = {number for number, t in tried.items() if t.status is TrialStatus.COMPLETED}
    assert completed == {1, 2, 4, 6}
    assert {t.status for number, t in tried.items() if number not in completed} == {
        TrialStatus.FAILED
    }
    for number, remedy in {
        1: "after cuda_oom: gradients accumulated over 2 parts of a batch of 4",
        2: "after host_oom: trainings side by side divided by 2",
        4: None,
    }.items():
        fit = search.folder(number).fit()
        assert fit["numbers"] == expected(number)
        assert fit["remedy"] == remedy
    assert search.times_ended() == {1}
    assert search.study().record().winner == tried[6]
    assert_every_epoch_is_reported_once(search)


def test_optunas_pruner_stops_trainings_on_ray(tmp_path: Path) -> None:
    search = ScriptedSearch(
        tmp_path,
        {number: ["slow", 0.05] for number in range(8)},
        8,
        placement(),
        "{algorithm: random, samples: 8, scheduler: asha, grace_epochs: 1, reduction: 2}",
    )
    assert search.run() == 0
    tried = search.tried()
    pruned = [t for t in tried.values() if t.status is TrialStatus.PRUNED]
    assert len(tried) == 8
    assert pruned
    assert all(1 <= t.epochs < EPOCHS for t in pruned)
    for number, t in tried.items():
        folder = search.folder(number)
        if t in pruned:
            assert folder.pruned()["by"] == "asha"
            assert len(folder.epochs()) == t.epochs
        else:
            assert folder.fit()["numbers"] == expected(number)
    assert search.study().record().is_finished
    assert_every_epoch_is_reported_once(search)


def test_a_search_that_was_interrupted_resumes_and_trains_nothing_twice(tmp_path: Path) -> None:
    search = ScriptedSearch(
        tmp_path, {number: ["slow", 0.4] for number in range(4)}, 4, placement(), GRID
    )

    def interrupt_in_mid_search() -> None:
        while len(list(tmp_path.glob("trainings/*/last.json"))) < 3:
            time.sleep(0.02)
        os.kill(os.getpid(), 2)

    threading.Thread(target=interrupt_in_mid_search, daemon=True).start()
    assert search.run() == 2
    before = search.tried()
    assert TrialStatus.STARTED in {t.status for t in before.values()}
    trained = {p.parent.name: json.loads(p.read_text()) for p in tmp_path.glob("*/*/last.json")}
    assert search.run() == 0
    assert {t.status for t in search.tried().values()} == {TrialStatus.COMPLETED}
    assert {n: t.number for n, t in search.tried().items()} == {n: n for n in range(4)}
    assert len(trained) >= 3
    assert search.times_ended() == {1}
    assert all(search.folder(n).fit()["numbers"] == expected(n) for n in range(4))
    assert_every_epoch_is_reported_once(search)


def test_what_another_sweep_is_at_work_on_leaves_a_search_unfinished(tmp_path: Path) -> None:
    search = ScriptedSearch(tmp_path, {}, 2, placement(), GRID)
    study = search.study()
    point = {"training": {"batch_size": 4, "epochs": 3, "weight_decay": 0.0}}
    values = {"source": "A", "method": {"name": "desam"}, **point}
    taken = search.sweep.ledger.folder(study.training(values).train_id)
    with subprocess.Popen(["sleep", "60"]) as other:
        let_go = hold(taken, mark_of(other.pid))
        assert search.run() == 0
        let_go()
        other.kill()
    assert [t.status for t in search.tried().values()] == [
        TrialStatus.STARTED,
        TrialStatus.COMPLETED,
    ]
    assert not study.record().is_finished
    assert study.winning_trials() == []
    assert search.run() == 0
    assert study.record().is_finished
    assert search.times_ended() == {1}
