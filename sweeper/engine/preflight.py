"""Before the first training on a cluster: can every machine do its part?"""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweeper.errors import ResourceError
from sweeper.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

MIN_FREE_BYTES = 1_000_000_000
_ANSWER_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a node says of itself.

    Attributes:
        name: Its address.
        version: Of this project, as installed there.
        sees_marker: True if the driver's marker file is there, with its content.
        free_bytes: Free on the disk of the workspace, as seen from there.
    """

    name: str
    version: str
    sees_marker: bool
    free_bytes: int


def check_machines(workspace: Path, stores: Sequence[str]) -> list[Machine]:
    """Ask every machine of the cluster whether it can run trainings of this workspace.

    Args:
        workspace: The folder that every machine must see at this path.
        stores: Paths of the datasets and local embedding stores that are read.

    Raises:
        ResourceError: Names each machine and what is wrong with it.
    """
    marker = workspace / f".seen-by-all-{uuid.uuid4().hex[:8]}"
    marker.write_text(marker.name, encoding="utf-8")
    try:
        machines = _ask_all(marker, stores)
    finally:
        marker.unlink(missing_ok=True)
    problems = [f"{m.name}: {text}" for m in machines if (text := problem(m, workspace))]
    if problems:
        raise ResourceError("; ".join(problems))
    return machines


def problem(machine: Machine, workspace: Path) -> str | None:
    """What keeps a machine from running trainings, and what to do; None if nothing does."""
    if machine.version != __version__:
        return (
            f"has sweeper {machine.version}, this machine {__version__}; install the same version"
            " everywhere"
        )
    if not machine.sees_marker:
        return (
            f"does not see the workspace {workspace} or a store in it; put it on a file system"
            " that every machine mounts at the same path, and name that with --workspace"
        )
    if machine.free_bytes < MIN_FREE_BYTES:
        return (
            f"has {machine.free_bytes / 1e9:.1f} GB free for the workspace, needs"
            f" {MIN_FREE_BYTES / 1e9:.0f}; make room, or: sweeper clean"
        )
    return None


def smallest_card_bytes(gpu: float) -> float:
    """Memory of the cluster's smallest GPU; 0 where that cannot be told.

    Args:
        gpu: The share that a training asks for, which the question asks for too.
    """
    nodes = [n for n in ray.nodes() if n["Alive"] and n["Resources"].get("GPU", 0) >= gpu]
    sizes = ray.get([_on(n, num_gpus=gpu)(_card_bytes).remote() for n in nodes], timeout=_ANSWER_S)
    return min((size for size in sizes if size), default=0.0)


def _ask_all(marker: Path, stores: Sequence[str]) -> list[Machine]:
    nodes = [n for n in ray.nodes() if n["Alive"]]
    asked = [
        _on(n, num_cpus=0)(_look).remote(n["NodeManagerAddress"], str(marker), list(stores))
        for n in nodes
    ]
    try:
        return [Machine(**answer) for answer in ray.get(asked, timeout=_ANSWER_S)]
    except ray.exceptions.GetTimeoutError as err:
        raise ResourceError(
            f"not every machine of the cluster answered within {_ANSWER_S:.0f} s; see: ray status"
        ) from err
    except ray.exceptions.RayTaskError as err:
        raise ResourceError(
            f"a machine of the cluster cannot run sweeper ({str(err.cause).splitlines()[0]});"
            " install the same version everywhere"
        ) from err


def _on(node: Any, **resources: float) -> Any:
    here = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
    return ray.remote(max_retries=1, scheduling_strategy=here, **resources)


def _look(name: str, marker: str, stores: list[str]) -> dict[str, Any]:
    """Runs on the machine that is asked."""
    path = Path(marker)
    sees = path.is_file() and path.read_text(encoding="utf-8") == path.name
    sees = sees and all(Path(store).exists() for store in stores)
    return {
        "name": name,
        "version": __version__,
        "sees_marker": sees,
        "free_bytes": shutil.disk_usage(path.parent).free if path.parent.is_dir() else 0,
    }


def _card_bytes() -> float:
    import torch  # the worker's, not the driver's

    if not torch.cuda.is_available():
        return 0.0
    return float(torch.cuda.get_device_properties(0).total_memory)
