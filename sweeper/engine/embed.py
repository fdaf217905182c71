"""Encoding a dataset's missing slices: in this process, or by Ray actors, one a GPU or core."""

from __future__ import annotations

import os
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch

from desam_model.encoder.registry import build_encoder
from sweeper.errors import ResourceError, SweeperError
from sweeper.store.dataset.store import DatasetStore
from sweeper.store.embeddings.places import dataset_slices
from sweeper.store.embeddings.writer import ChunkWriter
from sweeper.trial.encode import blocks_of, encode_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from desam_model.encoder.entry import Compute, Encoder
    from sweeper.store.embeddings.commits import Commit
    from sweeper.store.embeddings.manifest import EmbeddingManifest

Block = tuple[range, list[int]]

_BLOCKS_PER_CALL = 4
_CALLS_AHEAD = 2
_SMALL_SECONDS = 120.0
"""Estimated work below which starting Ray costs more than it gains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeJob:
    """What an actor needs to know; paths and plain values, so that it travels.

    Attributes:
        dataset: Path of the dataset store.
        store: Path of the embedding store, which exists.
        manifest: Of the embedding store.
        checkpoint: The file with the encoder's weights, or None for vit_tiny.
    """

    dataset: Path
    store: Path
    manifest: EmbeddingManifest
    checkpoint: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Who encodes.

    Attributes:
        actors: Ray actors; 0 encodes in this process, None is as many as the cluster has room for.
        gpu: GPUs, or a fraction of one, that an actor gets.
        cpu: Cores that an actor gets.
        address: Of a Ray cluster to join; None starts Ray on this machine.
    """

    actors: int | None = 0
    gpu: float = 0.0
    cpu: int = 1
    address: str | None = None


def encode_here(
    job: EncodeJob, dataset: DatasetStore, missing: Sequence[int]
) -> Iterator[list[Commit]]:
    """Encode in this process, on its GPU if it has one; yields commits block by block."""
    encoder = _encoder(job)
    writer = ChunkWriter(job.store, job.manifest)
    blocks = blocks_of(missing, job.manifest.n_slices, job.manifest.block)
    slices = dataset_slices(dataset, job.manifest)
    yield from encode_blocks(dataset, slices, encoder, writer, blocks, job.manifest.block)


def encode_with_ray(
    job: EncodeJob, missing: Sequence[int], workers: Workers
) -> Iterator[list[Commit]]:
    """Encode with Ray actors; yields commits as they come. An actor that dies is started again.

    Raises:
        SweeperError: An expected error of an actor, as it was raised there.
        ResourceError: No cluster answers, or it has no room for the actors.
    """
    import ray

    from sweeper.engine.cluster import start, stop

    blocks = blocks_of(missing, job.manifest.n_slices, job.manifest.block)
    calls = deque(blocks[i : i + _BLOCKS_PER_CALL] for i in range(0, len(blocks), _BLOCKS_PER_CALL))
    is_ours = not ray.is_initialized()
    if is_ours:
        start(workers.address)
    try:
        count = actors_that_fit(workers, ray.cluster_resources())
    except ResourceError:
        if is_ours:
            stop()
        raise
    actor_class = ray.remote(
        num_cpus=workers.cpu, num_gpus=workers.gpu, max_restarts=2, max_task_retries=2
    )(_EncodingActor)
    actors = [actor_class.remote(job) for _ in range(min(count, len(calls)))]
    try:
        yield from _results(actors, calls)
    except ray.exceptions.RayTaskError as err:
        if isinstance(err.cause, SweeperError):
            raise err.cause from err
        raise
    finally:
        for actor in actors:
            ray.kill(actor)
        if is_ours:
            stop()


def default_workers(seconds_here: float, parameters: int) -> Workers:
    """In this process for small work; else an actor for each GPU, or for each core that has room.

    Args:
        seconds_here: Estimated time in this process.
        parameters: Weights of the encoder; an actor on a CPU holds its own copy.
    """
    gpus = torch.cuda.device_count()
    if gpus > 1:
        return Workers(actors=gpus, gpu=1.0)
    if gpus == 1 or seconds_here < _SMALL_SECONDS:
        return Workers()
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    room = int(free * 0.7 / (10.0 * parameters + 2e9))
    cores = os.cpu_count() or 1
    return Workers(actors=min(cores, room)) if min(cores, room) > 1 else Workers()


def actors_that_fit(workers: Workers, resources: Mapping[str, float]) -> int:
    """How many actors to start: those asked for, or as many as there is room for.

    Raises:
        ResourceError: There is less room; Ray would wait without end.
    """
    kind, share = ("GPU", workers.gpu) if workers.gpu > 0 else ("CPU", float(workers.cpu))
    has = resources.get(kind, 0.0)
    room = int(has / share + 1e-9)
    wanted = room if workers.actors is None else workers.actors
    if wanted < 1 or wanted > room:
        raise ResourceError(
            f"{max(wanted, 1)} actors with {share:g} {kind} each were asked for, and the cluster"
            f" has {has:g} {kind}; ask for at most {room} with --actors, or another --gpu"
        )
    return wanted


def flops_per_second(compute: Compute) -> float:
    """Measured rate of this machine in large matrix products, in 0.1 s."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    halves = {"bf16-fused": torch.bfloat16, "fp16-fused": torch.float16}
    dtype = halves.get(compute, torch.float32)
    size = 4096 if device.type == "cuda" else 768
    a = torch.ones(size, size, dtype=dtype, device=device)
    torch.mm(a, a).sum().item()
    began, n = time.perf_counter(), 0
    while time.perf_counter() - began < 0.1:
        torch.mm(a, a)[0, 0].item()
        n += 1
    return n * 2.0 * size**3 / (time.perf_counter() - began)


class _EncodingActor:
    """Runs in a Ray worker: one encoder, one share of the device."""

    def __init__(self, job: EncodeJob) -> None:
        self._job = job
        self._dataset = DatasetStore.open(job.dataset)
        self._slices = dataset_slices(self._dataset, job.manifest)
        self._encoder = _encoder(job)

    def encode(self, blocks: list[Block]) -> list[Commit]:
        """Commits of the blocks' wanted slices, whose bytes are in place."""
        writer = ChunkWriter(self._job.store, self._job.manifest)
        size = self._job.manifest.block
        parts = encode_blocks(self._dataset, self._slices, self._encoder, writer, blocks, size)
        return [commit for part in parts for commit in part]


def _results(actors: list[Any], calls: deque[list[Block]]) -> Iterator[list[Commit]]:
    """Keep every actor busy with the next call while it works on one."""
    import ray

    running: dict[Any, Any] = {}
    for _ in range(_CALLS_AHEAD):
        for actor in actors:
            if calls:
                running[actor.encode.remote(calls.popleft())] = actor
    while running:
        (ready, *_), _ = ray.wait(list(running))
        actor = running.pop(ready)
        if calls:
            running[actor.encode.remote(calls.popleft())] = actor
        yield cast("list[Commit]", ray.get(ready))


def _encoder(job: EncodeJob) -> Encoder:
    manifest = job.manifest
    encoder = build_encoder(
        manifest.encoder, job.checkpoint, compute=manifest.compute, pool=manifest.pool
    )
    return encoder.to("cuda") if torch.cuda.is_available() else encoder
