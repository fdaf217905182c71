"""A driver in a process of its own: `scripted_driver.py ROOT SEEDS EPOCH_S WHERE [SEARCH]`.

Runs what is missing of a scripted sweep: on a Ray of its own (0), on a cluster of so many worker
nodes, whose raylets' process ids it writes to `ROOT/raylets.json`, or at an address. With SEARCH,
the `search:` of a space, it runs a scripted search of so many trainings instead.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))  # as pytest's

from scripted import Sweep
from scripted_search import ScriptedSearch

from sweeper.engine import cluster
from sweeper.engine.preflight import check_machines
from sweeper.records import Placement


def main(root: Path, seeds: int, epoch_s: float, where: str, search: str | None = None) -> None:
    if where.isdecimal():
        address = start_nodes(root, int(where)) if int(where) else None
    else:
        address = where
    cluster.start(address)
    if address is not None:
        check_machines(root, [])
    scripts = {seed: ["slow", epoch_s] for seed in range(seeds)}
    placement = Placement(
        cpu=1, gpu=0.0, memory_bytes=0, max_concurrent=2, shares_processes=True, hang_s=600.0
    )
    try:
        if search is not None:
            scripted = ScriptedSearch(root, scripts, seeds, placement, search)
            scripted.run()
            sweep = scripted.sweep
        else:
            sweep = Sweep(root=root, scripts=scripts, seeds=seeds, placement=placement)
            sweep.run([t for t in sweep.plan.trainings if not is_done(sweep, t)])
    finally:
        cluster.stop()
    sys.stdout.write(f"told of {len(sweep.told.ends)} ends, {len(sweep.tracker.records)} records")


def is_done(sweep: Sweep, training: object) -> bool:
    folder = sweep.ledger.folder(training.train_id)
    scores = all(folder.has_evaluation(e.eval_id) for e in training.evaluations)
    return folder.fit() is not None and scores


def start_nodes(root: Path, nodes: int) -> str:
    from ray.cluster_utils import Cluster

    store = 100 * 1024**2
    started = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": store}
    )
    for _ in range(nodes):
        started.add_node(num_cpus=1, object_store_memory=store)
    workers = list(started.worker_nodes)
    pids = [node.all_processes["raylet"][0].process.pid for node in workers]
    (root / "raylets.json").write_text(json.dumps(pids))
    return str(started.address)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), *sys.argv[4:])
