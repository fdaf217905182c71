"""Memory for batches that is used again as soon as nobody holds the batch.

A batch of ViT-H embeddings is hundreds of megabytes. Fresh memory of that size comes from the
kernel page by page, which takes ten times as long as filling it.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import threading
import weakref
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_SMALL_BYTES = 2**20
"""Below this the allocator does not go to the kernel for every tensor."""


class BufferPool:
    """Lends CPU memory; a loan ends by itself when the last tensor on it is gone.

    It holds no more than were lent at the same time. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._free: list[np.ndarray] = []
        self._taking = threading.Lock()

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """An uninitialised contiguous tensor on the CPU."""
        size = math.prod(shape) * dtype.itemsize
        if size < _SMALL_BYTES:
            return torch.empty(tuple(shape), dtype=dtype)
        whole = self._take(size)
        # torch keeps this array, and nothing else does: it goes when the tensor's storage goes,
        # whoever made views of it.
        lent = whole[:size]
        weakref.finalize(lent, self._free.append, whole).atexit = False
        return torch.from_numpy(lent).view(dtype).view(tuple(shape))

    @property
    def idle_bytes(self) -> int:
        """Memory that is held and not lent."""
        return sum(whole.nbytes for whole in self._free)

    def _take(self, size: int) -> np.ndarray:
        # A loan may end in another thread meanwhile, which only adds at the end of the list.
        with self._taking:
            for place, whole in enumerate(self._free):
                if whole.nbytes >= size:
                    return self._free.pop(place)
            self._free.clear()  # all too small: batches have grown
        region = mmap.mmap(-1, size)
        if hasattr(mmap, "MADV_HUGEPAGE"):  # Linux: one fault for 2 MB instead of 512
            with contextlib.suppress(OSError):  # a kernel without huge pages
                region.madvise(mmap.MADV_HUGEPAGE)
        return np.frombuffer(region, np.uint8)
