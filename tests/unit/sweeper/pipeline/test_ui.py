from __future__ import annotations

import socket

import pytest

from sweeper.errors import TrackingError
from sweeper.pipeline.ui import check_port


def test_a_port_that_is_taken_is_one_line_that_names_another() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(TrackingError, match=rf"port {port} cannot be had .*--port \d+"):
            check_port(port)
    check_port(port)
