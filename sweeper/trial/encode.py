"""Encodes blocks of slices in one process; reading, copying, computing and writing overlap."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from desam_model.types import Embedding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from desam_model.encoder.entry import Encoder
    from sweeper.store.dataset.store import DatasetStore
    from sweeper.store.embeddings.commits import Commit
    from sweeper.store.embeddings.writer import ChunkWriter

_WRITES_AHEAD = 2
"""Maximum number of blocks that wait to be written, which limits the memory."""


def blocks_of(missing: Sequence[int], n_slices: int, size: int) -> list[tuple[range, list[int]]]:
    """The fixed blocks with missing slices, each with the indices of its missing slices.

    A block is always encoded as a whole, because the same batch gives bit-identical results. So a
    resumed store equals an uninterrupted one. The last block is filled up when it is encoded.
    """
    missing_in: dict[int, list[int]] = {}
    for index in missing:
        missing_in.setdefault(index // size, []).append(index)
    return [
        (range(block * size, min((block + 1) * size, n_slices)), indices)
        for block, indices in sorted(missing_in.items())
    ]


def encode_blocks(
    dataset: DatasetStore,
    slices: Sequence[int],
    encoder: Encoder,
    writer: ChunkWriter,
    blocks: Iterable[tuple[range, list[int]]],
    size: int,
) -> Iterator[list[Commit]]:
    """Encode blocks and write their slices; yields the commits of a block when it is written.

    While a block is computed, threads read the next block and write the previous ones. On a GPU,
    copies in both directions use separate streams and page-locked memory; the embedding is copied
    in half precision if it is stored so.

    Args:
        dataset: The images.
        slices: Index in the dataset of each slice of the store.
        encoder: The encoder, on the device and in the precision of the computation.
        writer: Writes the slices.
        blocks: Slices that are encoded together, and the indices to write.
        size: Slices of a block. A smaller one is filled up with its last slice, because the
            arithmetic of a matrix product may depend on its size.
    """
    copies = _Copies(next(encoder.parameters()).device)
    half = writer.precision != "float32"
    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writing:
        pending: list[Future[list[Commit]]] = []
        frames: Future[tuple[torch.Tensor, Any]] | None = None
        queue = list(blocks)
        for position, (block, wanted) in enumerate(queue):
            # get this block's input, and read the next one
            images = _filled(block, slices, size)
            frames = frames or reader.submit(_frames, dataset, encoder, images, copies)
            ready, uploaded = frames.result()
            frames = None
            if position + 1 < len(queue):
                following = _filled(queue[position + 1][0], slices, size)
                frames = reader.submit(_frames, dataset, encoder, following, copies)
            # encode it and write it in the background
            embedding = encoder.encode(copies.wait(ready, uploaded))
            host, downloaded = copies.to_host(embedding, torch.float16 if half else torch.float32)
            pending.append(writing.submit(_write, writer, host, downloaded, block, wanted))
            # yield what is written; wait if too many blocks are pending
            while len(pending) > _WRITES_AHEAD or (pending and pending[0].done()):
                yield pending.pop(0).result()
        for future in pending:
            yield future.result()


def _filled(block: range, slices: Sequence[int], size: int) -> list[int]:
    """Indices in the dataset of a block's slices, filled up with the last one."""
    images = [slices[index] for index in block]
    return images + images[-1:] * (size - len(images))


class _Copies:
    """Copies between host and device that do not wait for the computation."""

    def __init__(self, device: torch.device) -> None:
        is_cuda = device.type == "cuda"
        self.up: Any = torch.cuda.Stream(device) if is_cuda else None  # type: ignore[no-untyped-call]
        self.down: Any = torch.cuda.Stream(device) if is_cuda else None  # type: ignore[no-untyped-call]

    def wait(self, frames: torch.Tensor, uploaded: Any) -> torch.Tensor:
        """The frames, after the compute stream of the device is told to wait for their upload."""
        if uploaded is not None:
            compute_stream = torch.cuda.current_stream(frames.device)
            compute_stream.wait_event(uploaded)
            frames.record_stream(compute_stream)
        return frames

    def to_host(self, embedding: Embedding, dtype: torch.dtype) -> tuple[Embedding, Any]:
        """The embedding in host memory, and the event after which it is complete."""
        if self.down is None:
            return embedding, None
        converted = embedding.to(dtype=dtype)
        self.down.wait_stream(torch.cuda.current_stream(converted.neck.device))
        with torch.cuda.stream(self.down):
            maps = []
            for tensor in (*converted.taps, converted.neck):
                pinned = torch.empty(tensor.shape, dtype=dtype, pin_memory=True)
                maps.append(pinned.copy_(tensor, non_blocking=True))
                tensor.record_stream(self.down)
        return Embedding(taps=tuple(maps[:-1]), neck=maps[-1]), self.down.record_event()


def _frames(
    dataset: DatasetStore, encoder: Encoder, indices: Sequence[int], copies: _Copies
) -> tuple[torch.Tensor, Any]:
    """Preprocessed input of a block on the device, `(B, 3, input_px, input_px)`, and its event."""
    images = torch.from_numpy(np.stack([dataset.image(index) for index in indices]))
    if copies.up is None:
        return encoder.preprocess(images), None
    with torch.cuda.stream(copies.up):
        return encoder.preprocess(images), copies.up.record_event()


def _write(
    writer: ChunkWriter, embedding: Embedding, copied: Any, block: range, wanted: Sequence[int]
) -> list[Commit]:
    """Write the wanted slices of an encoded block after it has been copied."""
    if copied is not None:
        copied.synchronize()
    commits = []
    for index in wanted:
        row = index - block.start
        of_slice = Embedding(taps=tuple(t[row] for t in embedding.taps), neck=embedding.neck[row])
        commits.append(writer.write(index, of_slice))
    return commits
