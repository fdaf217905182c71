"""A real cluster of three nodes on this machine, joined by its address."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from scripted import Sweep, expected, workers_need_not_import
from scripted_search import ScriptedSearch

from sweeper.engine import cluster
from sweeper.engine.preflight import Machine, check_machines, problem
from sweeper.errors import ResourceError
from sweeper.records import ENDED, Placement, TrialStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

workers_need_not_import(__name__)
pytestmark = [
    pytest.mark.filterwarnings("default"),  # Ray's own deprecations are not ours
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # nor the files it leaves open
]
DRIVER = Path(__file__).parents[1] / "support" / "scripted_driver.py"
PLACEMENT = Placement(
    cpu=1, gpu=0.0, memory_bytes=0, max_concurrent=2, shares_processes=True, hang_s=600.0
)
STORE = 100 * 1024**2


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        started_at = free.getsockname()[1]
    head = {
        "num_cpus": 0,
        "object_store_memory": STORE,
        "ray_client_server_port": started_at,
    }
    started = Cluster(initialize_head=True, head_node_args=head)
    started.client_address = f"ray://127.0.0.1:{started_at}"
    for _ in range(2):
        started.add_node(num_cpus=1, object_store_memory=STORE)
    cluster.start(started.address)
    yield started
    cluster.stop()
    started.shutdown()


def test_every_machine_is_asked_before_the_first_training(nodes: Any, tmp_path: Path) -> None:
    machines = check_machines(tmp_path, [str(tmp_path)])
    assert len(machines) == 3
    assert all(problem(m, tmp_path) is None for m in machines)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ResourceError, match="does not see the workspace"):
        check_machines(tmp_path, [str(tmp_path / "store-that-is-elsewhere")])


@pytest.mark.slow
def test_a_sweep_from_outside_through_rays_client_is_told_of_everything(
    nodes: Any, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(tmp_path), "2", "0.0", nodes.client_address],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    sweep = Sweep(root=tmp_path, scripts={}, seeds=2, placement=PLACEMENT)
    assert [sweep.numbers(seed) for seed in range(2)] == [expected(seed) for seed in range(2)]
    assert "told of 2 ends, 2 records" in done.stdout


@pytest.mark.slow
def test_a_search_from_outside_through_rays_client_stops_trainings_too(
    nodes: Any, tmp_path: Path
) -> None:
    search = "{algorithm: random, samples: 6, scheduler: asha, grace_epochs: 1, reduction: 2}"
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(tmp_path), "6", "1.5", nodes.client_address, search],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    scripted = ScriptedSearch(tmp_path, {}, 6, PLACEMENT, search)
    tried = scripted.tried()
    assert scripted.study().record().is_finished
    assert len(tried) == 6
    by_status = {status: [t for t in tried.values() if t.status is status] for status in ENDED}
    assert by_status[TrialStatus.PRUNED]
    assert by_status[TrialStatus.COMPLETED]
    assert not by_status[TrialStatus.FAILED]
    assert "told of 6 ends, 6 records" in done.stdout


def test_a_sweep_on_three_nodes_ends_complete_when_one_is_killed(
    nodes: Any, tmp_path: Path
) -> None:
    sweep = Sweep(
        root=tmp_path,
        scripts={seed: ["slow", 0.4] for seed in range(4)},
        seeds=4,
        placement=PLACEMENT,
    )

    def kill_one_in_mid_sweep() -> None:
        while sum((sweep.folder(s).path / "last.json").exists() for s in range(4)) < 2:
            time.sleep(0.05)
        nodes.remove_node(next(iter(nodes.worker_nodes)), allow_graceful=False)

    killer = threading.Thread(target=kill_one_in_mid_sweep)
    killer.start()
    assert sweep.run() == 0
    killer.join()
    assert len(nodes.worker_nodes) == 1
    assert [sweep.numbers(seed) for seed in range(4)] == [expected(seed) for seed in range(4)]
    assert [sweep.times_ended(seed) for seed in range(4)] == [1] * 4


@pytest.mark.slow
def test_two_sweeps_that_start_at_once_on_one_machine_do_not_collide(tmp_path: Path) -> None:
    roots = [tmp_path / "one", tmp_path / "other"]
    for root in roots:
        root.mkdir()
    drivers = [
        subprocess.Popen(
            [sys.executable, str(DRIVER), str(root), "3", "0.3", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for root in roots
    ]
    for driver, root in zip(drivers, roots, strict=True):
        out, err = driver.communicate(timeout=150)
        assert driver.returncode == 0, err[-3000:]
        assert out == "told of 3 ends, 3 records"
        sweep = Sweep(root=root, scripts={}, seeds=3, placement=PLACEMENT)
        assert [sweep.numbers(seed) for seed in range(3)] == [expected(s) for s in range(3)]
        assert [sweep.times_ended(seed) for seed in range(3)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        ({"version": "0.0.9"}, "has sweeper 0.0.9, this machine"),
        ({"sees_marker": False}, "does not see the workspace"),
        ({"free_bytes": 10**8}, "has 0.1 GB free"),
    ],
)
def test_what_is_wrong_with_a_machine_is_said(
    machine: dict[str, Any], said: str, tmp_path: Path
) -> None:
    from sweeper import __version__

    good = {"name": "h", "version": __version__, "sees_marker": True, "free_bytes": 10**12}
    assert problem(Machine(**good), tmp_path) is None
    assert said in (problem(Machine(**{**good, **machine}), tmp_path) or "")


def test_an_address_at_which_nobody_answers_gets_one_line_within_seconds() -> None:
    began = time.monotonic()
    for address in ("127.0.0.1:9", "ray://127.0.0.1:9"):
        with pytest.raises(ResourceError, match=r"cannot join the Ray cluster at.*refused"):
            cluster.start(address)
    assert time.monotonic() - began < 5
