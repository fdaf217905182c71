"""Encoding blocks of slices in one process: reading, computing and writing overlap."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch

from desam_model.types import Embedding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from desam_model.encoder import FrozenSamEncoder
    from sweeper.store.commits import Commit
    from sweeper.store.dataset_store import DatasetStore
    from sweeper.store.embedding_writer import ChunkWriter

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
    encoder: FrozenSamEncoder,
    writer: ChunkWriter,
    blocks: Iterable[tuple[range, list[int]]],
) -> Iterator[list[Commit]]:
    """Encode blocks and put their slices; yields each block's commits once its bytes are in place.

    The next block is read and prepared, and the last ones are written, in threads while this one
    is computed.

    Args:
        dataset: The images.
        encoder: On the device and in the precision of the computation.
        writer: Puts slices.
        blocks: Slices encoded together, and those of them to write.
    """
    device = next(encoder.parameters()).device
    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writing:
        pending: list[Future[list[Commit]]] = []
        frames: Future[torch.Tensor] | None = None
        queue = list(blocks)
        for position, (_, wanted) in enumerate(queue):
            frames = frames or reader.submit(_frames, dataset, encoder, queue[position][0])
            ready = frames.result()
            frames = None
            if position + 1 < len(queue):
                frames = reader.submit(_frames, dataset, encoder, queue[position + 1][0])
            embedding = encoder.encode(ready.to(device, non_blocking=True))
            host = embedding.to("cpu")
            pending.append(writing.submit(_write, writer, host, queue[position][0], wanted))
            while len(pending) > _WRITES_AHEAD or (pending and pending[0].done()):
                yield pending.pop(0).result()
        for future in pending:
            yield future.result()


def _frames(dataset: DatasetStore, encoder: FrozenSamEncoder, block: range) -> torch.Tensor:
    """Prepared input of a block, `(B, 3, input_px, input_px)`."""
    images = torch.from_numpy(np.stack([dataset.image(index) for index in block]))
    return encoder.preprocess(images)


def _write(
    writer: ChunkWriter, embedding: Embedding, block: range, wanted: Sequence[int]
) -> list[Commit]:
    """Put the wanted slices of an encoded block."""
    commits = []
    for index in wanted:
        row = index - block.start
        one = Embedding(taps=tuple(t[row] for t in embedding.taps), neck=embedding.neck[row])
        commits.append(writer.write(index, one))
    return commits
