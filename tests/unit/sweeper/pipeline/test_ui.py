from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sweeper.errors import TrackingError
from sweeper.pipeline.ui import check_port


def test_a_port_that_is_taken_is_one_line_that_names_another() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(TrackingError, match=rf"port {port} is not available .*--port \d+"):
            check_port(port)
    check_port(port)


_SERVES = """
import subprocess, sys
from pathlib import Path
from types import SimpleNamespace
from sweeper.pipeline import ui

class Server(subprocess.Popen):
    def wait(self, timeout=None):
        print(self.pid, flush=True)
        return super().wait(timeout)

ui.MlflowTracker = lambda _: SimpleNamespace(results=lambda: None, sweeps=lambda: ())
ui.check_port = lambda _: None
ui.start_server = lambda *_: Server(["sleep", "100"])
sys.exit(ui.serve(SimpleNamespace(logs=Path(sys.argv[1])), 5000, lambda _: None))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 0)])
def test_the_server_ends_with_the_process_that_was_told_to_end(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    serving = subprocess.Popen(
        [sys.executable, "-c", _SERVES, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert serving.stdout is not None
    server = int(serving.stdout.readline())
    os.kill(serving.pid, number)
    serving.communicate(timeout=30)
    assert serving.returncode == code
    assert not Path(f"/proc/{server}").exists()
