"""`sweeper doctor --environment`: this machine in a few lines, for a report of a problem."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.errors import ResourceError
from sweeper.version import __version__, versions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sweeper.store.workspace import Workspace

_MEMORY = Path("/proc/meminfo")
_DRIVER = Path("/proc/driver/nvidia/version")
_SHARED = Path("/dev/shm")  # where Ray keeps its objects
_VARIABLES = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "RAY_ADDRESS", "SLURM_JOB_ID")
"""Environment variables that change what runs where; others may hold secrets."""


def environment_lines(workspace: Workspace, *, starts_ray: bool = True) -> Iterator[str]:
    """One `name: value` per line; no names of people, no secrets, the home folder as `~`.

    Args:
        workspace: Its disk is described.
        starts_ray: Also start Ray on this machine, as a sweep does, and stop it.
    """
    yield f"sweeper: {__version__}"
    yield "packages: " + ", ".join(f"{name} {value}" for name, value in versions().items())
    yield f"system: {platform.platform()}"
    yield f"processor: {_processor()}, {os.cpu_count()} cores, {_usable_cores()} for this process"
    yield f"memory: {_memory()}"
    yield from _gpu_lines()
    for name, path in (
        ("workspace", workspace.root),
        ("temporary folder", Path(tempfile.gettempdir())),
        ("shared memory", _SHARED),
    ):
        yield f"{name}: {_disk(path)}"
    for variable in _VARIABLES:
        if variable in os.environ:
            yield f"{variable}: {os.environ[variable]}"
    if starts_ray:
        yield f"Ray: {_ray()}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> str:
    if not _MEMORY.is_file():
        return "unknown"
    pairs = (line.split(":") for line in _MEMORY.read_text(encoding="utf-8").splitlines())
    kilobytes = {name: int(value.split()[0]) for name, value in pairs}
    total, available = kilobytes["MemTotal"], kilobytes.get("MemAvailable", 0)
    return f"{total / 1e6:.1f} GB, {available / 1e6:.1f} GB available"


def _gpu_lines() -> Iterator[str]:
    import torch  # seconds

    if not torch.cuda.is_available():
        yield f"GPU: none that torch can use (torch is built for CUDA {torch.version.cuda})"
    else:
        for index in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(index)
            free, total = torch.cuda.mem_get_info(index)
            yield (
                f"GPU {index}: {card.name}, {total / 1e9:.1f} GB, {free / 1e9:.1f} GB free,"
                f" compute capability {card.major}.{card.minor}, CUDA {torch.version.cuda}"
            )
    if _DRIVER.is_file():
        yield f"driver: {_DRIVER.read_text(encoding='utf-8').splitlines()[0]}"


def _disk(path: Path) -> str:
    shown = str(path).replace(str(Path.home()), "~", 1)
    if not path.is_dir():
        return f"{shown} does not exist"
    usage = shutil.disk_usage(path)
    writable = "" if os.access(path, os.W_OK) else ", NOT WRITABLE"
    return f"{shown}, {usage.free / 1e9:.1f} of {usage.total / 1e9:.1f} GB free{writable}"


def _ray() -> str:
    from sweeper.engine import cluster  # costs 4 s

    began = time.monotonic()
    try:
        resources = cluster.start(None)
    except ResourceError as err:
        return f"DOES NOT START: {err}"
    finally:
        cluster.stop()
    found = ", ".join(
        f"{resources[name]:g} {name}" for name in ("CPU", "GPU") if resources.get(name)
    )
    return f"starts in {time.monotonic() - began:.0f} s with {found}"
