"""Memory of this process, as the system counts it; without torch, so that any process may ask."""

from __future__ import annotations

import contextlib
import ctypes
from pathlib import Path

_STATUS = Path("/proc/self/status")


def anonymous_bytes() -> int:
    """Anonymous resident memory of this process; 0 where the system does not say."""
    with contextlib.suppress(OSError, ValueError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


def return_free_memory() -> None:
    """Give back to the system what the allocator keeps of a training that has ended.

    glibc keeps freed pages in an arena of each thread, and Tune runs every training in a new one:
    a worker held 530 MB in its first training and 866 MB in its twelfth, of the same kind. Without
    this the guard of host memory and the figure in the table would count others' leavings.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library has no such call
        ctypes.CDLL(None).malloc_trim(0)
