"""`sweeper ui`: MLflow's pages on this workspace."""

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
    """Serve until interrupted; 0 after Ctrl-C. The server ends with this process.

    Raises:
        TrackingError: There is no sweep yet, the port cannot be had, or the server ended itself.
    """
    tracker = MlflowTracker(workspace)
    tracker.results()  # refuses a workspace without a sweep
    check_port(port)
    say(f"MLflow starts in about 15 seconds at http://{HOST}:{port}   (Ctrl-C ends it)")
    for sweep in tracker.sweeps():
        say(f"sweep {sweep.name}: {sweep_url(sweep, port)}")
    log = workspace.logs / "mlflow-server.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    server = start_server(workspace, port, log)
    try:
        code = server.wait()
    except KeyboardInterrupt:
        return 0
    finally:  # it would hold the port for ever
        server.terminate()
        server.wait()
    raise TrackingError(f"MLflow's server ended with code {code}; its last lines are in {log}")


def check_port(port: int) -> None:
    """Refuse a port that nobody can listen at; told before a server needs 15 s to find out.

    Raises:
        TrackingError: It is taken, or needs rights that this user has not.
    """
    with socket.socket() as probe:
        # as servers do: a port whose last connection is still closing down may be had
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as err:
            raise TrackingError(
                f"port {port} cannot be had ({err.strerror}); name another one: sweeper ui --port"
                f" {port + 1 if 1023 < port < 65535 else 5001}"
            ) from err
