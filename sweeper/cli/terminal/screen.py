"""The size of the terminal."""

from __future__ import annotations

import shutil
import sys


def screen_width() -> int | None:
    """Columns of the terminal; None if stdout is a pipe or a file."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
