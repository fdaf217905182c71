"""Identities of processes that stay unique after they end, to ask whether one still runs."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

_STARTED_FIELD = 19  # of /proc/PID/stat behind the name: clock ticks since boot


def process_identity() -> str:
    """This process as `host/namespace/pid/start`; no later process has the same identity."""
    pid = os.getpid()
    return f"{_local_prefix()}/{pid}/{_started(pid)}"


def has_ended(identity: str) -> bool:
    """True if the process has certainly ended; False if it runs or cannot be checked.

    Only a process on this machine and in this container can be checked.
    """
    if not is_local(identity):
        return False
    pid, started = identity.split("/")[2:]
    return _started(int(pid)) != started


def is_local(identity: str) -> bool:
    """True if the process runs, or ran, on this machine and in this container."""
    return identity.startswith(f"{_local_prefix()}/")


def short_identity(identity: str) -> str:
    """An identity for people: `host pid 123`; any other text is returned unchanged."""
    parts = identity.split("/")
    return f"{parts[0]} pid {parts[2]}" if len(parts) == 4 else identity


@cache
def _local_prefix() -> str:
    """The machine and the process namespace: two containers may have the same host name."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    except OSError:
        namespace = "0"
    return f"{socket.gethostname()}/{namespace}"


def _started(pid: int) -> str:
    """Start time of a process in ticks; empty if there is none or it is a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "" if Path("/proc/self/stat").exists() else _alive_without_proc(pid)
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[_STARTED_FIELD]


def _alive_without_proc(pid: int) -> str:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "0"
