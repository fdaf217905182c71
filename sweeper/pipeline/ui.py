"""`sweeper ui`: MLflow's pages on this workspace."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from sweeper.errors import TrackingError
from sweeper.tracking.mlflow_server import HOST, start_server, sweep_url
from sweeper.tracking.mlflow_tracker import MlflowTracker

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweeper.store.workspace import Workspace


def serve(workspace: Workspace, port: int, say: Callable[[str], None]) -> int:
    """Serve until interrupted; the server's exit code, 0 after Ctrl-C.

    Raises:
        TrackingError: There is no sweep yet, or the port is taken.
    """
    latest = MlflowTracker(workspace).results().sweeps[-1]
    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:
            raise TrackingError(
                f"port {port} is taken; name another one: sweeper ui --port {port + 1}"
            )
    say(f"MLflow starts in about 15 seconds at http://{HOST}:{port}   (Ctrl-C ends it)")
    say(f"sweep {latest.name}: {sweep_url(latest, port)}")
    server = start_server(workspace, port)
    try:
        return server.wait()
    except KeyboardInterrupt:
        server.terminate()
        server.wait()
        return 0
