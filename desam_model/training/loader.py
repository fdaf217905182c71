"""Batches out of slices: seeded order, background assembly, bounded memory, next batch on device.

Slices are read where they lie (memory-mapped embeddings); the only copy is the one into the batch,
which also converts to the compute precision on a CPU, into memory that earlier batches used. For a
GPU the batch is assembled in pinned memory, crosses in its stored precision and is converted there,
on a stream of its own, while the previous batch trains. Threads are enough, and no worker process
is needed: the work is memory copies, which release the interpreter lock (sources.md S59).
"""

from __future__ import annotations

import contextlib
import math
import mmap
import queue
import threading
import weakref
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from desam_model.types import Batch, Embedding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from desam_model.types import Slice

    _Empty = Callable[[Sequence[int], torch.dtype], Tensor]
    from collections.abc import Sequence

_SMALL_BATCH_BYTES = 16 * 2**20
"""Below this a batch is assembled in well under 10 ms, and a thread costs more than it hides."""

_PIECE = 2**18
"""Whole numbers turned into values at once: 1 MB in float32 stays in a core's cache."""


def collate(
    slices: Sequence[Slice],
    *,
    dtype: torch.dtype | None = torch.float32,
    pin: bool = False,
    buffers: BufferPool | None = None,
) -> Batch:
    """The slices stacked: reference and image as float32, embedding in `dtype`.

    Args:
        slices: At least one; all with the same fields and shapes.
        dtype: Precision of the embedding; None keeps the stored one, int8 with its scales.
        pin: Assemble in page-locked memory, from which a GPU copies without waiting.
        buffers: Where large tensors get their memory from; by default fresh. Unused with `pin`,
            because torch keeps page-locked memory itself.

    Raises:
        ValueError: No slices, or slices that differ in what they hold.
    """
    if not slices:
        raise ValueError("a batch needs at least one slice, got none")
    first = slices[0]
    for s in slices:
        if (s.image is None) != (first.image is None) or (s.embedding is None) != (
            first.embedding is None
        ):
            raise ValueError(
                f"slices of cases {first.case} and {s.case} hold different fields; a batch needs"
                " image and embedding in all of its slices or in none"
            )
    empty = partial(_empty, buffers=None if pin else buffers, pin=pin)
    reference = _stack([s.reference for s in slices], torch.float32, empty).unsqueeze(1)
    images = [s.image for s in slices if s.image is not None]
    embeddings = [s.embedding for s in slices if s.embedding is not None]
    return Batch(
        reference=reference,
        image=_stack(images, torch.float32, empty).div_(255.0) if images else None,
        embedding=_stack_embeddings(embeddings, dtype, empty) if embeddings else None,
    )


class Loader:
    """Batches of a view, in order or shuffled by an owned generator; iterate it once an epoch.

    Memory is bounded by `prefetch + 2` batches. Leaving an iteration early, or an error in it,
    ends its thread; an error while reading is raised where the batch would have been.
    """

    def __init__(
        self,
        slices: Sequence[Slice],
        *,
        batch_size: int,
        device: torch.device | str = "cpu",
        shuffle_generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
        prefetch: int = 2,
    ) -> None:
        """A loader over `slices`.

        Args:
            slices: The view.
            batch_size: Slices in a batch; the last batch may have fewer.
            device: Where batches are handed over.
            shuffle_generator: CPU generator that orders each epoch anew; None keeps the order.
            dtype: Precision of the embeddings handed over.
            prefetch: Batches made ahead in the background; 0 makes each when asked for.

        Raises:
            ValueError: A number is out of range.
        """
        if batch_size < 1 or prefetch < 0:
            raise ValueError(
                f"batch_size is {batch_size} and prefetch is {prefetch}, expected at least 1 and 0"
            )
        self._slices = slices
        self._batch_size = batch_size
        self._device = torch.device(device)
        self._generator = shuffle_generator
        self._dtype = dtype
        self._prefetch = prefetch
        self._buffers = BufferPool()

    def __len__(self) -> int:
        return -(-len(self._slices) // self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        batches = self.order()
        if not batches:
            return iter(())
        if self._prefetch == 0 or self._is_small(batches[0][0]):
            return map(self._make, batches)
        return self._in_background(batches)

    def order(self) -> list[list[int]]:
        """Positions of the slices of each batch of a new epoch; draws from the generator."""
        n = len(self._slices)
        order = (
            list(range(n))
            if self._generator is None
            else torch.randperm(n, generator=self._generator).tolist()
        )
        return [order[i : i + self._batch_size] for i in range(0, n, self._batch_size)]

    def _is_small(self, index: int) -> bool:
        """Whether a batch on the CPU is so small that a thread would cost more than it hides."""
        if self._device.type != "cpu":
            return False
        s = self._slices[index]
        tensors = [s.reference, *([] if s.image is None else [s.image])]
        if s.embedding is not None:
            tensors += [*s.embedding.taps, s.embedding.neck]
        return 4 * sum(t.numel() for t in tensors) * self._batch_size < _SMALL_BATCH_BYTES

    def _make(self, positions: Sequence[int]) -> Batch:
        slices = [self._slices[i] for i in positions]
        if self._device.type == "cpu":
            return collate(slices, dtype=self._dtype, buffers=self._buffers)
        pinned = collate(slices, dtype=None, pin=self._device.type == "cuda")
        batch = pinned.to(self._device, non_blocking=True)
        if batch.embedding is None:
            return batch
        embedding = batch.embedding.to(dtype=self._dtype)
        return Batch(reference=batch.reference, image=batch.image, embedding=embedding)

    def _in_background(self, batches: list[list[int]]) -> Iterator[Batch]:
        """Make batches in one thread, at most `prefetch` ahead."""
        ready: queue.Queue[Any] = queue.Queue(maxsize=self._prefetch)
        stop = threading.Event()
        is_cuda = self._device.type == "cuda"
        stream: Any = torch.cuda.Stream(self._device) if is_cuda else None  # type: ignore[no-untyped-call]
        thread = threading.Thread(
            target=self._produce, args=(batches, ready, stop, stream), name="loader", daemon=True
        )
        thread.start()
        try:
            for _ in batches:
                made, copied = ready.get()
                if isinstance(made, BaseException):
                    raise made
                yield _hand_over(made, copied)
        finally:
            stop.set()
            thread.join()

    def _produce(
        self,
        batches: list[list[int]],
        ready: queue.Queue[Any],
        stop: threading.Event,
        stream: Any,
    ) -> None:
        """Thread body: put batches, or the error that ended the work."""
        try:
            with torch.cuda.stream(stream) if stream is not None else nullcontext():
                for positions in batches:
                    if stop.is_set():
                        return
                    batch = self._make(positions)
                    copied = stream.record_event() if stream is not None else None
                    _put(ready, (batch, copied), stop)
        except BaseException as err:
            _put(ready, (err, None), stop)


def _put(ready: queue.Queue[Any], made: object, stop: threading.Event) -> None:
    """Put, unless the consumer leaves first."""
    while not stop.is_set():
        try:
            ready.put(made, timeout=0.05)
        except queue.Full:
            continue
        return


def _hand_over(batch: Batch, copied: Any) -> Batch:
    """Make the consumer's stream wait for the copy, and keep its memory until it is used."""
    if copied is None:
        return batch
    current = torch.cuda.current_stream(batch.reference.device)
    current.wait_event(copied)
    tensors = [batch.reference, *([] if batch.image is None else [batch.image])]
    if batch.embedding is not None:
        tensors += [*batch.embedding.taps, batch.embedding.neck]
    for tensor in tensors:
        tensor.record_stream(current)
    return batch


def _empty(
    shape: Sequence[int], dtype: torch.dtype, *, buffers: BufferPool | None, pin: bool
) -> Tensor:
    """Uninitialised memory for a part of a batch."""
    if buffers is not None:
        return buffers.empty(shape, dtype)
    return torch.empty(tuple(shape), dtype=dtype, pin_memory=pin)


def _stack(tensors: Sequence[Tensor], dtype: torch.dtype | None, empty: _Empty) -> Tensor:
    """One copy from where each tensor lies into its place of the batch, converting on the way."""
    out = _room_for(tensors, dtype, empty)
    for place, tensor in zip(out, tensors, strict=True):
        place.copy_(tensor)
    return out


def _stack_scaled(
    wholes: Sequence[Tensor], scales: Sequence[Tensor], dtype: torch.dtype, empty: _Empty
) -> Tensor:
    """int8 maps `(C, h, w)` times their channels' scales `(C,)`, in one pass over the memory."""
    out = _room_for(wholes, dtype, empty)
    step = max(1, _PIECE // wholes[0][0].numel())
    for place, whole, scale in zip(out, wholes, scales, strict=True):
        factor = scale[:, None, None]
        for start in range(0, len(whole), step):
            part = slice(start, start + step)
            place[part].copy_(whole[part]).mul_(factor[part])
    return out


def _room_for(tensors: Sequence[Tensor], dtype: torch.dtype | None, empty: _Empty) -> Tensor:
    """Memory for tensors that have one shape, stacked."""
    first = tensors[0]
    for tensor in tensors:
        if tensor.shape != first.shape:
            raise ValueError(
                f"slices have shapes {tuple(first.shape)} and {tuple(tensor.shape)}; a batch needs"
                " one shape"
            )
    return empty((len(tensors), *first.shape), dtype or first.dtype)


def _stack_embeddings(
    embeddings: Sequence[Embedding], dtype: torch.dtype | None, empty: _Empty
) -> Embedding:
    """Taps and neck of all slices with a batch axis."""
    maps = [[*e.taps, e.neck] for e in embeddings]
    scales = [e.scales for e in embeddings if e.scales is not None]
    if scales and dtype is not None:
        *taps, neck = (
            _stack_scaled(of_slices, of_scales, dtype, empty)
            for of_slices, of_scales in zip(
                zip(*maps, strict=True), zip(*scales, strict=True), strict=True
            )
        )
        return Embedding(taps=tuple(taps), neck=neck)
    *taps, neck = (_stack(of_slices, dtype, empty) for of_slices in zip(*maps, strict=True))
    stacked = [_stack(of_scales, None, empty) for of_scales in zip(*scales, strict=True)]
    return Embedding(taps=tuple(taps), neck=neck, scales=tuple(stacked) or None)


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
