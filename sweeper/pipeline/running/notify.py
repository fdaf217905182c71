"""A word to a webhook when a sweep ends or first fails; a dead webhook never harms the sweep."""

from __future__ import annotations

import json
import socket
import threading
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

from sweeper.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweeper.pipeline.display import Display

_TIMEOUT_S = 10.0


class Notifier:
    """Posts JSON to a URL: `{event, sweep, host, text, ...}`, each message once.

    The key `text` holds the whole message, which is what chat webhooks show.

    Args:
        url: An `http://` or `https://` address; None posts nothing.
        sweep: Name of the sweep.
        display: Told, in one line, if the URL does not answer.

    Raises:
        ConfigError: The URL is none.
    """

    def __init__(self, url: str | None, sweep: str, display: Display) -> None:
        if url is not None and urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise ConfigError(f"--notify {url}: expected an address that begins with https://")
        self._url, self._sweep, self._display = url, sweep, display
        self._threads: list[threading.Thread] = []
        self._has_failed = self._is_dead = False

    def failure(self, name: str, note: str) -> None:
        """A training has failed for good; only the first one is posted before the end."""
        if not self._has_failed:
            self._has_failed = True
            text = f"sweep {self._sweep}: first failure, {name}: {note}"
            self._post({"event": "failure", "training": name, "note": note, "text": text})

    def end(self, counts: Mapping[str, int], seconds: float, signal: int) -> None:
        """The sweep has ended.

        Args:
            counts: Trainings by state.
            seconds: It took.
            signal: That ended it early; 0 if none did.
        """
        numbers = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        how = "interrupted" if signal else "ended"
        text = f"sweep {self._sweep} {how} after {seconds / 60:.1f} min: {numbers}"
        self._post(
            {
                "event": "end",
                "counts": dict(counts),
                "seconds": round(seconds, 1),
                "signal": signal,
                "text": text,
            }
        )

    def error(self, reason: str) -> None:
        """The run ends by an error.

        Args:
            reason: One line.
        """
        text = f"sweep {self._sweep} ended by an error: {reason}"
        self._post({"event": "error", "reason": reason, "text": text})

    def wait(self) -> None:
        """Let what is on its way arrive; at most a few seconds."""
        for thread in self._threads:
            thread.join(_TIMEOUT_S)
        self._threads.clear()

    def _post(self, message: dict[str, Any]) -> None:
        if self._url is None:
            return
        body = {"sweep": self._sweep, "host": socket.gethostname(), **message}
        thread = threading.Thread(target=self._send, args=(body,), name="notify", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _send(self, body: dict[str, Any]) -> None:
        request = urllib.request.Request(
            str(self._url),
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "User-Agent": "sweeper"},
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S):
                pass
        except (OSError, ValueError) as err:  # URLError and HTTPError are OSErrors
            if not self._is_dead:
                self._is_dead = True
                reason = getattr(err, "reason", err)
                where = urllib.parse.urlsplit(str(self._url)).hostname
                self._display.say(f"--notify: {where} does not take the message ({reason})")
