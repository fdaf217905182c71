"""Detects that a local Ray process has died; Tune itself would wait forever."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_POLL_S = 1.0
_VITAL = {"raylet": "raylet", "gcs_server": "control service (GCS)"}
"""Ray processes that every training needs: process name -> name in messages."""


@contextlib.contextmanager
def guarded(on_lost: Callable[[str], None]) -> Iterator[None]:
    """Watch the processes of the Ray that this process started, in a background thread.

    Args:
        on_lost: Called once, in that thread, with the name of the process that has died. The main
            thread may be blocked forever, so the callback must replace or end this process.
    """
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(_POLL_S):
            for name, title in _VITAL.items():
                if any(process.poll() is not None for process in _processes(name)):
                    if not stop.is_set():
                        on_lost(title)
                    return

    thread = threading.Thread(target=watch, name="ray-guard", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        if threading.current_thread() is not thread:
            thread.join(_POLL_S)


def end_own_processes() -> None:
    """Kill the remaining processes of the Ray that this process started; its workers follow."""
    node = _own_node()
    if node is not None:
        with contextlib.suppress(Exception):  # Ray raises bare Exception; it is going anyway
            node.kill_all_processes(check_alive=False, allow_graceful=False)


def _processes(name: str) -> list[Any]:
    node = _own_node()
    return [] if node is None else [info.process for info in node.all_processes.get(name, [])]


def _own_node() -> Any:
    from ray._private import worker

    return worker._global_node
