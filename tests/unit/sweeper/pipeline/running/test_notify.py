from __future__ import annotations

import http.server
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from sweeper.errors import ConfigError, StoreError
from sweeper.pipeline.display import Silent
from sweeper.pipeline.run import RunRequest, run
from sweeper.pipeline.running.notify import Notifier
from sweeper.store.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Webhook(http.server.HTTPServer):
    """A loopback server that keeps what is posted to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.posted: list[dict[str, Any]] = []
        self.answer = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.posted.append(json.loads(self.rfile.read(length)))
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Lines(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def tell_all(notifier: Notifier) -> None:
    notifier.failure("desam full A seed 0", "bug: KeyError: 'x'")
    notifier.wait()
    notifier.failure("desam full A seed 1", "bug: KeyError: 'x'")
    notifier.end({"done": 3, "failed": 2, "lost": 0}, 90.0, 0)
    notifier.wait()


def test_the_first_failure_and_the_end_are_posted_as_json(webhook: Webhook) -> None:
    display = Lines()
    tell_all(Notifier(webhook.url, "ablation", display))
    first, last = webhook.posted
    assert (first["event"], first["training"]) == ("failure", "desam full A seed 0")
    assert last["counts"] == {"done": 3, "failed": 2, "lost": 0}
    assert last["text"] == "sweep ablation ended after 1.5 min: 3 done, 2 failed"
    assert display.lines == []


def test_a_run_that_ends_by_an_error_says_so(webhook: Webhook, tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    space.write_text("name: broken\ntrial: {dataset: nobody, source: A-ISBI, method: {name: unet}}")
    request = RunRequest(space=space, notify=webhook.url)
    with pytest.raises(StoreError):
        run(Workspace.open(tmp_path / "workspace"), request, Silent())
    (message,) = webhook.posted
    assert (message["event"], message["sweep"]) == ("error", "broken")
    assert message["text"].startswith("sweep broken ended by an error: ")
    assert "nobody" in message["reason"]


def test_a_dead_address_costs_one_line_and_nothing_else(webhook: Webhook) -> None:
    webhook.answer = 500
    display = Lines()
    tell_all(Notifier(webhook.url, "ablation", display))
    assert display.lines == [
        "--notify: 127.0.0.1 does not take the message (Internal Server Error)"
    ]
    nobody = Lines()
    tell_all(Notifier("http://127.0.0.1:9/", "ablation", nobody))
    assert len(nobody.lines) == 1
    assert "Connection refused" in nobody.lines[0]


def test_without_an_address_nothing_is_posted_and_nothing_is_said() -> None:
    display = Lines()
    tell_all(Notifier(None, "ablation", display))
    assert display.lines == []


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ConfigError, match="--notify hooks: expected an address"):
        Notifier("hooks", "ablation", Silent())
