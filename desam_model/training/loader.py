"""Data loader: batches of slices, assembled by a background thread in bounded memory.

Embeddings are memory-mapped, so the copy into the batch is the only copy. For a CPU, this copy also
converts to the compute precision, into memory that earlier batches have released. For a GPU, the
batch is assembled in pinned memory, transferred in its stored precision and converted on the GPU,
on a separate stream, while the previous batch trains. Threads are sufficient, and no worker
processes are needed: the work is memory copies, which release the GIL (sources.md S59).
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
"""A smaller batch is assembled in well under 10 ms, so a background thread would not pay off."""

_CHUNK_VALUES = 2**18
"""Values dequantised at once: 1 MB in float32, which fits into the cache of a core."""


def collate(
    slices: Sequence[Slice],
    *,
    dtype: torch.dtype | None = torch.float32,
    pin: bool = False,
    buffers: BufferPool | None = None,
) -> Batch:
    """The slices stacked into a batch: reference and image as float32, embedding in `dtype`.

    Args:
        slices: At least one; all with the same fields and shapes.
        dtype: Precision of the embedding; None keeps the stored one (int8 with its scales).
        pin: Assemble in page-locked memory, so that the copy to the GPU is asynchronous.
        buffers: Pool that provides the memory of large tensors; None allocates new memory. Not
            used with `pin`, because torch caches page-locked memory itself.

    Raises:
        ValueError: There are no slices, or they differ in fields or shapes.
    """
    if not slices:
        raise ValueError("a batch needs at least one slice, got none")
    first = slices[0]
    for s in slices:
        if (s.image is None) != (first.image is None) or (s.embedding is None) != (
            first.embedding is None
        ):
            raise ValueError(
                f"slices of cases {first.case} and {s.case} have different fields; either all"
                " slices of a batch or none must have an image, and the same for an embedding"
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
    """Batches of a view, in order or shuffled by a given generator; iterate it once per epoch.

    It uses the memory of at most `prefetch + 2` batches. Leaving the iteration early, or an error
    in it, stops the background thread. An error while reading is raised in place of the batch.
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
        """Creates a loader over `slices`.

        Args:
            slices: The view.
            batch_size: Slices per batch; the last batch may be smaller.
            device: Device of the batches.
            shuffle_generator: CPU generator that shuffles each epoch; None keeps the order.
            dtype: Precision of the embeddings.
            prefetch: Batches prepared ahead in the background; 0 prepares each one on demand.

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
        """Slice positions of each batch of a new epoch; draws from the generator."""
        n = len(self._slices)
        order = (
            list(range(n))
            if self._generator is None
            else torch.randperm(n, generator=self._generator).tolist()
        )
        return [order[i : i + self._batch_size] for i in range(0, n, self._batch_size)]

    def _is_small(self, index: int) -> bool:
        """True if a batch on the CPU is too small for a background thread to pay off."""
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
        """Assemble batches in one thread, at most `prefetch` ahead."""
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
                batch, copied = ready.get()
                if isinstance(batch, BaseException):
                    raise batch
                yield _hand_over(batch, copied)
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
        """Body of the thread: queue the batches, or the error that stopped it."""
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


def _put(ready: queue.Queue[Any], item: object, stop: threading.Event) -> None:
    """Queue an item, unless the consumer stops first."""
    while not stop.is_set():
        try:
            ready.put(item, timeout=0.05)
        except queue.Full:
            continue
        return


def _hand_over(batch: Batch, copied: Any) -> Batch:
    """The batch, after the consumer's stream waits for the copy and keeps its memory alive."""
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
    """An uninitialised tensor for one field of a batch."""
    if buffers is not None:
        return buffers.empty(shape, dtype)
    return torch.empty(tuple(shape), dtype=dtype, pin_memory=pin)


def _stack(tensors: Sequence[Tensor], dtype: torch.dtype | None, empty: _Empty) -> Tensor:
    """The tensors stacked; each is copied once and converted by that copy."""
    out = _empty_stack(tensors, dtype, empty)
    for row, tensor in zip(out, tensors, strict=True):
        row.copy_(tensor)
    return out


def _stack_scaled(
    quantised: Sequence[Tensor], scales: Sequence[Tensor], dtype: torch.dtype, empty: _Empty
) -> Tensor:
    """int8 maps `(C, h, w)` times the scales of their channels `(C,)`, in one pass over memory."""
    out = _empty_stack(quantised, dtype, empty)
    step = max(1, _CHUNK_VALUES // quantised[0][0].numel())
    for row, integers, scale in zip(out, quantised, scales, strict=True):
        factor = scale[:, None, None]
        for start in range(0, len(integers), step):
            channels = slice(start, start + step)
            row[channels].copy_(integers[channels]).mul_(factor[channels])
    return out


def _empty_stack(tensors: Sequence[Tensor], dtype: torch.dtype | None, empty: _Empty) -> Tensor:
    """An uninitialised tensor for a stack of tensors, which must have the same shape."""
    first = tensors[0]
    for tensor in tensors:
        if tensor.shape != first.shape:
            raise ValueError(
                f"slices have shapes {tuple(first.shape)} and {tuple(tensor.shape)}; all slices of"
                " a batch must have the same shape"
            )
    return empty((len(tensors), *first.shape), dtype or first.dtype)


def _stack_embeddings(
    embeddings: Sequence[Embedding], dtype: torch.dtype | None, empty: _Empty
) -> Embedding:
    """Taps and neck of all slices, stacked along a batch axis."""
    maps = [[*e.taps, e.neck] for e in embeddings]
    scales = [e.scales for e in embeddings if e.scales is not None]
    if scales and dtype is not None:
        *taps, neck = (
            _stack_scaled(slice_maps, slice_scales, dtype, empty)
            for slice_maps, slice_scales in zip(
                zip(*maps, strict=True), zip(*scales, strict=True), strict=True
            )
        )
        return Embedding(taps=tuple(taps), neck=neck)
    *taps, neck = (_stack(slice_maps, dtype, empty) for slice_maps in zip(*maps, strict=True))
    stacked = [_stack(slice_scales, None, empty) for slice_scales in zip(*scales, strict=True)]
    return Embedding(taps=tuple(taps), neck=neck, scales=tuple(stacked) or None)


_SMALL_BYTES = 2**20
"""The allocator serves smaller tensors without a system call for each."""


class BufferPool:
    """A pool of CPU buffers; a buffer returns to it when its last tensor is deleted.

    The pool never holds more buffers than were in use at the same time. It is thread-safe.
    """

    def __init__(self) -> None:
        self._free: list[np.ndarray] = []
        self._lock = threading.Lock()

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """An uninitialised contiguous tensor on the CPU."""
        size = math.prod(shape) * dtype.itemsize
        if size < _SMALL_BYTES:
            return torch.empty(tuple(shape), dtype=dtype)
        buffer = self._take(size)
        # Only torch holds this array: it is deleted with the tensor's storage, after the last view.
        used = buffer[:size]
        weakref.finalize(used, self._free.append, buffer).atexit = False
        return torch.from_numpy(used).view(dtype).view(tuple(shape))

    @property
    def idle_bytes(self) -> int:
        """Bytes of the buffers that are not in use."""
        return sum(buffer.nbytes for buffer in self._free)

    def _take(self, size: int) -> np.ndarray:
        # Another thread may return a buffer meanwhile, which only appends to the list.
        with self._lock:
            for index, buffer in enumerate(self._free):
                if buffer.nbytes >= size:
                    return self._free.pop(index)
            self._free.clear()  # all are too small: batches have grown
        region = mmap.mmap(-1, size)
        if hasattr(mmap, "MADV_HUGEPAGE"):  # Linux: one page fault per 2 MB instead of 512
            with contextlib.suppress(OSError):  # a kernel without huge pages
                region.madvise(mmap.MADV_HUGEPAGE)
        return np.frombuffer(region, np.uint8)
