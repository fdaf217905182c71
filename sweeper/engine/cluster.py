"""The Ray that a sweep runs on: one of our own on this machine, or a cluster to join."""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import shutil
import socket
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray

from sweeper.engine import QUIET
from sweeper.engine.isolation import LOOPBACK, isolated, mute
from sweeper.engine.ray_guard import end_own_processes
from sweeper.errors import ResourceError
from sweeper.store.processes import has_ended, process_identity

if TYPE_CHECKING:
    from sweeper.records import Placement

_STORE_BYTES = 256 * 1024**2  # nothing big goes through the object store (sources.md S58)
_WORKER_ENVIRONMENT = {**QUIET, "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60"}
"""A driver's own environment does not reach workers (sources.md S56)."""
_LONGEST_TEMP = 40
"""Characters: Ray puts sockets below it, and a socket's path must have less than 108."""
_KNOCK_S = 10.0
_NAMELESS_S = 3600.0
_OWNER = "owner"
"""File that names the process a folder belongs to."""
_STARTS = 2
"""Two sweeps that start at once may draw the same free port: the loser draws again."""

_own_folder: Path | None = None


def start(address: str | None, temp_dir: Path | None = None) -> dict[str, float]:
    """Start Ray on this machine, or join the cluster at `address`; the resources it has.

    Args:
        address: `auto`, `HOST:PORT`, `ray://HOST:PORT`, or None for a Ray of our own, which nobody
            else joins: its ports are drawn, its folder belongs to this process.
        temp_dir: Where a Ray of our own puts its sockets and logs; by default a folder below the
            system's temporary one that `stop` removes.

    Raises:
        ResourceError: No cluster answers at the address, or Ray does not start.
    """
    options: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": "CRITICAL",  # what matters is raised, and becomes one line
        "runtime_env": {"env_vars": _WORKER_ENVIRONMENT},
    }
    if address is None:
        _start_here(options, temp_dir)
    else:
        _join(address, options)
        harden()
    mute()
    for name in ("ray.tune", "ray.data", "ray"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return {name: float(amount) for name, amount in ray.cluster_resources().items()}


def stop(*, keeps_logs: bool = False) -> None:
    """Leave the cluster; a local one ends, and its folder is removed.

    Args:
        keeps_logs: True to leave Ray's logs where they are, for a person to read.
    """
    global _own_folder
    ray.shutdown()
    if _own_folder is not None and not keeps_logs:
        shutil.rmtree(_own_folder, ignore_errors=True)
    _own_folder = None


def abandon() -> None:
    """Kill the local Ray after one of its processes has died, without waiting for the others."""
    end_own_processes()
    if _own_folder is not None:
        shutil.rmtree(_own_folder, ignore_errors=True)


def own_folder() -> Path | None:
    """Where the Ray that we started keeps its logs; None if we started none."""
    return _own_folder


def temporary_root() -> Path:
    """The folder below which each sweep of this user on this machine has one of its own."""
    base = Path(tempfile.gettempdir())
    if len(str(base)) > _LONGEST_TEMP // 2:
        base = Path("/tmp")  # the name below is made for us alone
    return base / f"sweeper-{os.getuid()}"


def remove_leftovers() -> None:
    """Remove the folders of sweeps of this user that were killed on this machine.

    A folder that names no owner is removed an hour after it was made: its sweep was killed before
    it could write its name.
    """
    for folder in temporary_root().glob("*"):
        owner = folder / _OWNER
        with contextlib.suppress(OSError):
            if owner.is_file():
                is_left_over = has_ended(owner.read_text(encoding="utf-8"))
            else:
                is_left_over = time.time() - folder.stat().st_mtime > _NAMELESS_S
            if is_left_over:
                shutil.rmtree(folder, ignore_errors=True)


def check_fits(placement: Placement) -> None:
    """Refuse at once what Tune would wait for without end.

    Raises:
        ResourceError: No node has what one training asks for.
    """
    nodes = [n["Resources"] for n in ray.nodes() if n["Alive"]]
    for node in nodes:
        if (
            node.get("CPU", 0) >= placement.cpu
            and node.get("GPU", 0) >= placement.gpu
            and node.get("memory", 0) >= placement.memory_bytes
        ):
            return
    found = "; ".join(
        f"{n.get('CPU', 0):g} CPU, {n.get('GPU', 0):g} GPU, {n.get('memory', 0) / 1e9:.1f} GB"
        for n in nodes
    )
    raise ResourceError(
        f"no machine fits a training that asks for {placement.cpu} CPU, {placement.gpu:g} GPU and"
        f" {placement.memory_bytes / 1e9:.1f} GB; there is {found}. Lower 'resources:' in the"
        " search space, or --set resources.cpu=1"
    )


def _start_here(options: dict[str, Any], temp_dir: Path | None) -> None:
    global _own_folder
    remove_leftovers()
    for attempt in range(_STARTS):
        folder = temp_dir or temporary_root() / uuid.uuid4().hex[:6]
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir(exist_ok=True, mode=0o700)
        (folder / _OWNER).write_text(process_identity(), encoding="utf-8")
        try:
            with isolated():
                ray.init(
                    address="local",
                    include_dashboard=False,
                    object_store_memory=_STORE_BYTES,
                    _temp_dir=str(folder),
                    _node_ip_address=LOOPBACK,
                    **options,
                )
        except Exception as err:  # Ray raises bare Exception when a process of its starts too late
            with contextlib.suppress(Exception):
                ray.shutdown()
            if temp_dir is None:
                shutil.rmtree(folder, ignore_errors=True)
            if attempt + 1 == _STARTS:
                raise ResourceError(
                    f"cannot start Ray on this machine ({_first_line(err)}); if other work keeps"
                    " it busy, run the same command again later"
                ) from err
        else:
            _own_folder = folder if temp_dir is None else None
            return


def _join(address: str, options: dict[str, Any]) -> None:
    try:
        _knock(address)
        ray.init(address=address, **options)
    except Exception as err:  # connection, version, or a client library that is not there
        with contextlib.suppress(Exception):
            ray.shutdown()
        raise ResourceError(
            f"cannot join the Ray cluster at {address!r} ({_first_line(err)}); check the address,"
            " or leave --address out to run on this machine alone"
        ) from err


def _knock(address: str) -> None:
    """Fail in seconds where Ray would wait for minutes, and then abort the process."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        with socket.create_connection((host, int(port)), timeout=_KNOCK_S):
            pass


def _first_line(err: BaseException) -> str:
    text = str(err).strip()
    return text.splitlines()[0] if text else type(err).__name__


_NEEDLE = "Caught unexpected exception"


def harden() -> bool:
    """Make Tune treat a process that Ray's monitor ended as a lost one (sources.md S55).

    Returns:
        False where Tune's code is not the one this was written for; nothing is changed then.
    """
    from ray.air.execution._internal.actor_manager import RayActorManager
    from ray.exceptions import ActorDiedError, OutOfMemoryError

    original = getattr(RayActorManager, "_actor_task_failed", None)
    if original is None:
        return False
    if getattr(original, "is_hardened", False):
        return True
    parameters = list(inspect.signature(original).parameters)
    if parameters != ["self", "tracked_actor_task", "exception"]:
        return False
    if _NEEDLE not in inspect.getsource(original):
        return False

    def actor_task_failed(self: Any, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, OutOfMemoryError):
            died = ActorDiedError()
            died.error_msg = f"OutOfMemoryError: {exception}"
            exception = died
        original(self, tracked_actor_task, exception)

    actor_task_failed.is_hardened = True  # type: ignore[attr-defined]
    RayActorManager._actor_task_failed = actor_task_failed
    return True
