"""Encoding blocks of slices in one process: reading, copies, computing and writing overlap."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from desam_model.types import Embedding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from desam_model.encoder.sam_vit import FrozenSamEncoder
    from sweeper.store.dataset.store import DatasetStore
    from sweeper.store.embeddings.commits import Commit
    from sweeper.store.embeddings.writer import ChunkWriter

_WRITES_AHEAD = 2
"""Blocks that may wait for the disk while the next is computed: bounds the memory."""


def blocks_of(missing: Sequence[int], n_slices: int, size: int) -> list[tuple[range, list[int]]]:
    """The fixed blocks that hold missing slices, each with those it lacks.

    A block is always encoded whole, whatever is missing of it: the same batch gives the same
    bits, and so a continued store equals an uninterrupted one.
    """
    lacking: dict[int, list[int]] = {}
    for index in missing:
        lacking.setdefault(index // size, []).append(index)
    return [
        (range(block * size, min((block + 1) * size, n_slices)), indices)
        for block, indices in sorted(lacking.items())
    ]


def encode_blocks(
    dataset: DatasetStore,
    slices: Sequence[int],
    encoder: FrozenSamEncoder,
    writer: ChunkWriter,
    blocks: Iterable[tuple[range, list[int]]],
) -> Iterator[list[Commit]]:
    """Encode blocks and put their slices; yields each block's commits once its bytes are in place.

    The next block is read and prepared, and the last ones are written, in threads while this one
    is computed. On a GPU both copies run on streams of their own, from and to page-locked memory,
    the embedding in half precision if that is what is stored.

    Args:
        dataset: The images.
        slices: Per slice of the store its index in the dataset.
        encoder: On the device and in the precision of the computation.
        writer: Puts slices.
        blocks: Slices encoded together, and those of them to write.
    """
    copies = _Copies(next(encoder.parameters()).device)
    half = writer.precision != "float32"
    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writing:
        pending: list[Future[list[Commit]]] = []
        frames: Future[tuple[torch.Tensor, Any]] | None = None
        queue = list(blocks)
        for position, (block, wanted) in enumerate(queue):
            images = [slices[index] for index in block]
            frames = frames or reader.submit(_frames, dataset, encoder, images, copies)
            ready, uploaded = frames.result()
            frames = None
            if position + 1 < len(queue):
                following = [slices[index] for index in queue[position + 1][0]]
                frames = reader.submit(_frames, dataset, encoder, following, copies)
            embedding = encoder.encode(copies.wait(ready, uploaded))
            host, downloaded = copies.to_host(embedding, torch.float16 if half else torch.float32)
            pending.append(writing.submit(_write, writer, host, downloaded, block, wanted))
            while len(pending) > _WRITES_AHEAD or (pending and pending[0].done()):
                yield pending.pop(0).result()
        for future in pending:
            yield future.result()


class _Copies:
    """Copies between this machine's memory and the device that do not wait for the computation."""

    def __init__(self, device: torch.device) -> None:
        is_cuda = device.type == "cuda"
        self.up: Any = torch.cuda.Stream(device) if is_cuda else None  # type: ignore[no-untyped-call]
        self.down: Any = torch.cuda.Stream(device) if is_cuda else None  # type: ignore[no-untyped-call]

    def wait(self, frames: torch.Tensor, uploaded: Any) -> torch.Tensor:
        """Frames that the computation may use: it waits on the device, not here."""
        if uploaded is not None:
            computing = torch.cuda.current_stream(frames.device)
            computing.wait_event(uploaded)
            frames.record_stream(computing)
        return frames

    def to_host(self, embedding: Embedding, dtype: torch.dtype) -> tuple[Embedding, Any]:
        """The embedding in this machine's memory, once the event that comes with it is done."""
        if self.down is None:
            return embedding, None
        small = embedding.to(dtype=dtype)
        self.down.wait_stream(torch.cuda.current_stream(small.neck.device))
        with torch.cuda.stream(self.down):
            maps = []
            for tensor in (*small.taps, small.neck):
                pinned = torch.empty(tensor.shape, dtype=dtype, pin_memory=True)
                maps.append(pinned.copy_(tensor, non_blocking=True))
                tensor.record_stream(self.down)
        return Embedding(taps=tuple(maps[:-1]), neck=maps[-1]), self.down.record_event()


def _frames(
    dataset: DatasetStore, encoder: FrozenSamEncoder, indices: Sequence[int], copies: _Copies
) -> tuple[torch.Tensor, Any]:
    """Prepared input of a block on the device, `(B, 3, input_px, input_px)`, and its event."""
    images = torch.from_numpy(np.stack([dataset.image(index) for index in indices]))
    if copies.up is None:
        return encoder.preprocess(images), None
    with torch.cuda.stream(copies.up):
        return encoder.preprocess(images), copies.up.record_event()


def _write(
    writer: ChunkWriter, embedding: Embedding, copied: Any, block: range, wanted: Sequence[int]
) -> list[Commit]:
    """Put the wanted slices of an encoded block once it has arrived."""
    if copied is not None:
        copied.synchronize()
    commits = []
    for index in wanted:
        row = index - block.start
        one = Embedding(taps=tuple(t[row] for t in embedding.taps), neck=embedding.neck[row])
        commits.append(writer.write(index, one))
    return commits
