"""Names of processes that outlive them: who is at work, and is it surely gone?"""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

_STARTED_FIELD = 19  # of /proc/PID/stat behind the name: clock ticks since boot


def mark() -> str:
    """This process as `host/namespace/pid/start`; no later process has the same."""
    pid = os.getpid()
    return f"{_here()}/{pid}/{_started(pid)}"


def is_gone(text: str) -> bool:
    """True if the process of a mark surely ended; False if it lives or cannot be asked.

    Only a process of this machine (and of this container) can be asked.
    """
    if not is_here(text):
        return False
    pid, started = text.split("/")[2:]
    return _started(int(pid)) != started


def is_here(text: str) -> bool:
    """True if the process of a mark runs, or ran, on this machine and in this container."""
    return text.startswith(f"{_here()}/")


def short(text: str) -> str:
    """A mark for people: `host pid 123`; another text as it is."""
    parts = text.split("/")
    return f"{parts[0]} pid {parts[2]}" if len(parts) == 4 else text


@cache
def _here() -> str:
    """The machine, and the process namespace: two containers may bear one host name."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    except OSError:
        namespace = "0"
    return f"{socket.gethostname()}/{namespace}"


def _started(pid: int) -> str:
    """When a process began, in ticks; empty if there is none, or only its remains."""
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
