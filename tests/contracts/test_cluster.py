"""A real cluster of three nodes on this machine, joined by its address."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from scripted import Sweep, expected, workers_need_not_import

from sweeper.engine import cluster
from sweeper.engine.preflight import Machine, check_machines, problem
from sweeper.engine.ray_tune import Placement
from sweeper.errors import ResourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

workers_need_not_import(__name__)
pytestmark = pytest.mark.filterwarnings("default")  # Ray's own deprecations are not ours
STORE = 100 * 1024**2


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    started = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": STORE}
    )
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


def test_a_sweep_on_three_nodes_ends_complete_when_one_is_killed(
    nodes: Any, tmp_path: Path
) -> None:
    sweep = Sweep(
        root=tmp_path,
        scripts={seed: ["slow", 0.4] for seed in range(4)},
        seeds=4,
        placement=Placement(
            cpu=1, gpu=0.0, memory_bytes=0, max_concurrent=2, shares_processes=True
        ),
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
