"""Keeps a command running after its terminal is closed."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


def survive_hangup() -> None:
    """On SIGHUP, continue, and discard all output to the closed terminal.

    A SIGHUP that is ignored already (`nohup`) stays so.
    """
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL:
        return
    terminals = [descriptor for descriptor in (0, 1, 2) if os.isatty(descriptor)]

    def let_go(number: int, frame: FrameType | None) -> None:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in terminals:
            os.dup2(nowhere, descriptor)
        os.close(nowhere)

    signal.signal(signal.SIGHUP, let_go)
