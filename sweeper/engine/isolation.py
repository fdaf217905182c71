"""Keeps a Ray of our own apart: from the network, from the terminal, and its lines from ours."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK = "127.0.0.1"


@contextlib.contextmanager
def isolated() -> Iterator[None]:
    """While it lasts, `ray.init` starts processes on loopback and in groups of their own.

    Ray replaces a loopback address by the machine's own, on which others reach it and which a VPN
    or DHCP may change; and a signal to the driver's process group (`timeout`, `scancel`) would end
    the raylet before the driver can stop in good order (sources.md S86). Both are private to Ray:
    where a version has them not, nothing is changed.
    """
    from ray._private import services

    original = {
        name: getattr(services, name)
        for name in ("resolve_ip_for_localhost", "ConsolePopen")
        if hasattr(services, name) and sys.platform != "win32"
    }
    if "resolve_ip_for_localhost" in original:
        services.resolve_ip_for_localhost = lambda host: host
    if "ConsolePopen" in original:
        services.ConsolePopen = _in_own_group(original["ConsolePopen"])
    try:
        yield
    finally:
        for name, value in original.items():
            setattr(services, name, value)


def mute() -> None:
    """Keep what Ray prints about its own processes out of what we print; its logs have it too."""
    from ray._private import worker

    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *_, **__: None


def _in_own_group(popen: type) -> type:
    """A `Popen` whose processes lead groups of their own."""

    class OwnGroup(popen):  # type: ignore[misc]  # Ray ships no types
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "process_group": 0})

    return OwnGroup
