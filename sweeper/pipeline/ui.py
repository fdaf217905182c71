"""`sweeper ui`: serves the MLflow UI of this workspace."""

from __future__ import annotations

import signal
import socket
import sys
from typing import TYPE_CHECKING

from sweeper.errors import TrackingError
from sweeper.tracking.mlflow_server import HOST, start_server, sweep_url
from sweeper.tracking.mlflow_tracker import MlflowTracker

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweeper.store.workspace import Workspace


def serve(workspace: Workspace, port: int, say: Callable[[str], None]) -> int:
    """Serve until interrupted; returns 0 after Ctrl-C. The server stops with this process.

    Raises:
        TrackingError: There is no sweep yet, the port is not available, or the server failed.
    """
    # check the workspace and the port
    tracker = MlflowTracker(workspace)
    tracker.results()  # raises an error if the workspace has no sweep
    check_port(port)
    say(f"MLflow starts in about 15 seconds at http://{HOST}:{port}   (stop it with Ctrl-C)")
    for sweep in tracker.sweeps():
        say(f"sweep {sweep.name}: {sweep_url(sweep, port)}")
    # run the server
    log = workspace.logs / "mlflow-server.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    server = start_server(workspace, port, log)
    try:
        code = server.wait()
    except KeyboardInterrupt:
        return 0
    finally:  # otherwise the server would keep the port
        server.terminate()
        server.wait()
    raise TrackingError(f"MLflow's server stopped with exit code {code}; see its log {log}")


def check_port(port: int) -> None:
    """Refuse a port that is not available, before the server takes 15 s to start.

    Raises:
        TrackingError: The port is in use, or the user has no permission for it.
    """
    with socket.socket() as probe:
        # as servers do: a port whose last connection is still closing is available
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as err:
            raise TrackingError(
                f"port {port} is not available ({err.strerror}); use another one: sweeper ui --port"
                f" {port + 1 if 1023 < port < 65535 else 5001}"
            ) from err
