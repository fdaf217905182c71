"""Embedding of a dataset: finds the store, shows the cost, and computes the missing slices."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from desam_model.encoder.entry import COMPUTES, INPUTS
from desam_model.encoder.precision import DEFAULT_PRECISION, PRECISIONS
from desam_model.encoder.registry import encoder_entry
from sweeper.config.trial import ABDOMINAL_PHANTOM, PHANTOM
from sweeper.errors import StoreError
from sweeper.store.embeddings.manifest import Codec, EmbeddingManifest
from sweeper.store.embeddings.places import offsets
from sweeper.store.embeddings.store import EmbeddingStore
from sweeper.store.embeddings.writer import StoreWriter, free_bytes, require_disk_space
from sweeper.store.weights import encoder_fingerprint, resolve_checkpoint
from sweeper.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from desam_model.encoder.entry import Compute, EncoderEntry
    from sweeper.engine.embed import Workers
    from sweeper.store.dataset.store import DatasetStore
    from sweeper.store.workspace import Workspace

_EFFICIENCY = 0.4
"""Speed of an encoder relative to large matrix products: measured with vit_b on a CPU in both
precisions (`docs/benchmarks.md`), and assumed to be the same on a GPU."""


class EncodeJobInputs(NamedTuple):
    """The images to encode, the store to write, and the weights of the encoder."""

    dataset: DatasetStore
    store: Path
    manifest: EmbeddingManifest
    checkpoint: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedProgress:
    """Progress of an embedding job.

    Attributes:
        done: Number of finished slices, including earlier runs.
        total: Number of slices in the dataset.
        encoded: Number of slices that this run has encoded.
        slice_bytes: Bytes of one slice on disk.
        seconds: Time since this run started to encode.
    """

    done: int
    total: int
    encoded: int
    slice_bytes: int
    seconds: float


def ensure_embeddings(
    workspace: Workspace,
    dataset: DatasetStore,
    encoder: str,
    *,
    checkpoint: Path | None = None,
    precision: str = DEFAULT_PRECISION,
    pool: int = 1,
    progress: Callable[[EmbedProgress], None] | None = None,
    say: Callable[[str], None] | None = None,
    into: Path | None = None,
    compute: str = "auto",
    codec: Codec | None = None,
    workers: Workers | None = None,
    is_background: bool = False,
) -> EmbeddingStore:
    """A complete embedding store of `dataset`; missing slices are computed now.

    Args:
        workspace: The workspace with stores and checkpoints.
        dataset: The images.
        encoder: Name of the encoder.
        checkpoint: SAM's checkpoint; by default the one in the workspace.
        precision: One of `desam_model.encoder.precision.PRECISIONS`.
        pool: One of `desam_model.encoder.entry.POOLS`.
        progress: Called after every block.
        say: Receives lines for the user: what will be computed, and which process is waited for.
        into: Folder of the store; by default a folder in the workspace, named after its content.
        compute: One of `COMPUTES`, or `auto`: that of an unfinished store, else bf16 if the
            hardware supports it, and fused float32 otherwise and for vit_tiny.
        codec: `none` is memory-mapped, `zstd` is smaller but decoded at every read; by default that
            of an unfinished store, else `none`.
        workers: The workers that encode; by default chosen by the amount of work.
        is_background: The store of the slices that show no structure, which only evaluations of
            whole scans read, instead of the store of those that do.

    Raises:
        StoreError: The folder has other content, an embedding cannot be stored, or the dataset has
            too many channels or does not keep whole scans.
        WeightsError: The checkpoint is missing or damaged.
        WorkspaceError: The disk has not enough space for the store.
    """
    require_encoder_inputs(dataset)
    # the wanted store, and its unfinished version if there is one
    path_to_weights = resolve_checkpoint(workspace, encoder, checkpoint)
    manifest = wanted_manifest(
        dataset,
        encoder,
        encoder_fingerprint(encoder, path_to_weights),
        precision,
        compute,
        pool=pool,
        is_background=is_background,
    )
    path = into or existing_path(workspace, manifest)
    existing = EmbeddingStore.open(path) if path.exists() else None
    manifest = replace(manifest, codec=codec or "none")
    if existing is not None:
        existing.manifest.require_same(manifest, path)
        if existing.is_complete():
            return existing
        manifest = _continued(manifest, existing.manifest, compute, codec)
    say = say or (lambda line: None)
    # a larger precision of the same values needs no encoder
    if existing is None and (codec, compute) == (None, "auto"):
        larger = _complete_at_larger_precision(workspace, manifest)
        if larger is not None:
            return _converted(larger, path, precision, say)
    # encode the missing slices
    n_done = 0 if existing is None else len(existing.commits)
    require_disk_space(path, manifest, manifest.n_slices - n_done)
    on_wait = partial(say, f"waiting for another process that is writing {path.name}")
    with StoreWriter(path, manifest, on_wait=on_wait) as store_writer:
        missing = store_writer.missing
        require_disk_space(path, manifest, len(missing))
        job = EncodeJobInputs(dataset, path, manifest, path_to_weights)
        if missing:
            _fill(store_writer, missing, job, workers, progress, say)
    return EmbeddingStore.open(path)


def _converted(
    larger: EmbeddingStore, path: Path, precision: str, say: Callable[[str], None]
) -> EmbeddingStore:
    from sweeper.store.embeddings.convert import convert_store  # torch: seconds

    say(f"converting {larger.path.name} to {precision}; no slice is encoded again")
    return convert_store(larger, path, precision)


def _complete_at_larger_precision(
    workspace: Workspace, manifest: EmbeddingManifest
) -> EmbeddingStore | None:
    """A complete store of the same embeddings from which the wanted one can be converted.

    The result is byte for byte that of encoding with the same arithmetic.
    """
    for name, precision in PRECISIONS.items():
        if manifest.precision in precision.smaller:
            wanted = replace(manifest, precision=name)
            path = existing_path(workspace, wanted)
            store = EmbeddingStore.open(path) if path.exists() else None
            is_same = store is not None and store.fingerprint == wanted.fingerprint
            if store is not None and is_same and store.is_complete():
                return store
    return None


def _continued(
    wanted: EmbeddingManifest, started: EmbeddingManifest, compute: str, codec: Codec | None
) -> EmbeddingManifest:
    """The wanted manifest, with the arithmetic and codec of an unfinished store unless given."""
    return replace(
        wanted,
        format=started.format,
        compute=started.compute if compute == "auto" else wanted.compute,
        codec=codec or started.codec,
    )


def wanted_manifest(
    dataset: DatasetStore,
    encoder: str,
    weights_fingerprint: str,
    precision: str,
    compute: str = "auto",
    *,
    pool: int = 1,
    is_background: bool = False,
) -> EmbeddingManifest:
    """The manifest of the store with the embeddings of `dataset` by `encoder`.

    Raises:
        StoreError: The precision, the arithmetic or the pooling is not one of the encoder's, or
            the dataset does not keep the slices.
    """
    if is_background:
        require_whole_scans(dataset)
    if precision not in PRECISIONS:
        raise StoreError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}")
    try:
        entry = encoder_entry(encoder).pooled(pool)
    except ValueError as err:
        raise StoreError(f"encoder {encoder}: {err}; set encoder.pool to another value") from err
    counts = (
        (record.case, len(offsets(record, is_background=is_background))) for record in dataset.cases
    )
    cases = tuple((case, count) for case, count in counts if count)
    return EmbeddingManifest(
        dataset=dataset.name,
        dataset_fingerprint=dataset.fingerprint,
        encoder=encoder,
        encoder_fingerprint=weights_fingerprint,
        precision=precision,
        preprocessing=entry.preprocessing,
        compute=_compute(compute, entry),
        block=entry.block,
        codec="none",
        n_slices=sum(count for _, count in cases),
        pool=pool,
        taps=entry.taps,
        neck=entry.neck,
        input_px=entry.input_px,
        product_version=__version__,
        cases=cases,
        scan_fingerprint=dataset.scan_fingerprint if is_background else "",
    )


def require_encoder_inputs(dataset: DatasetStore) -> None:
    """Raise if the dataset has more channels than an encoder has inputs.

    Raises:
        StoreError: Says what to do.
    """
    if dataset.image_channels not in INPUTS:
        raise StoreError(
            f"dataset {dataset.name} has {dataset.image_channels} channels, and an encoder has"
            f" {max(INPUTS)} inputs; import at most {max(INPUTS)} with --channel, or use methods"
            " that read images"
        )


def require_whole_scans(dataset: DatasetStore) -> None:
    """Raise unless the dataset keeps every slice of its scans.

    Raises:
        StoreError: Says how to get them.
    """
    if dataset.keeps_all_slices:
        return
    way = (
        f"remove {dataset.path}, and the next run makes it again from the same files"
        if dataset.name in (PHANTOM, ABDOMINAL_PHANTOM)
        else f"import it again: sweeper data import {dataset.source or 'SOURCE'} --name"
        f" {dataset.name} --replace"
    )
    raise StoreError(
        f"dataset {dataset.name} was imported by a version that kept only the slices with a"
        f" reference, and evaluation.whole_scan (protocol volume) needs every slice; {way};"
        " trainings, scorings and embeddings stay valid"
    )


def store_path(workspace: Workspace, manifest: EmbeddingManifest) -> Path:
    """The folder of the store in the workspace, named after its content."""
    part = "-background" if manifest.is_background else ""
    pool = f"-pool{manifest.pool}" if manifest.pool > 1 else ""
    name = f"{manifest.dataset}{part}-{manifest.encoder}-{manifest.precision}{pool}"
    return workspace.embeddings / f"{name}-{manifest.fingerprint[:8]}.zarr"


def existing_path(workspace: Workspace, manifest: EmbeddingManifest) -> Path:
    """`store_path`, or an existing store of the same embeddings under another dataset name."""
    path = store_path(workspace, manifest)
    if path.exists():
        return path
    ending = path.name.removeprefix(manifest.dataset)
    same = sorted(other for other in workspace.embeddings.glob(f"*{ending}") if other.is_dir())
    return same[0] if same else path


def _fill(
    store_writer: StoreWriter,
    missing: list[int],
    inputs: EncodeJobInputs,
    workers: Workers | None,
    progress: Callable[[EmbedProgress], None] | None,
    say: Callable[[str], None],
) -> None:
    """Encode the missing slices and commit each block when it is finished."""
    from sweeper.engine.embed import (
        EncodeJob,
        default_workers,
        encode_here,
        encode_with_ray,
    )

    # estimate the time and choose the workers
    dataset, path, manifest, checkpoint = inputs
    entry = encoder_entry(manifest.encoder)
    seconds = encoding_seconds(len(missing) * entry.flops_per_slice, manifest.compute)
    workers = workers or default_workers(seconds, entry.parameters)
    say(_announcement(path, manifest, len(missing), seconds, workers))
    # encode and commit
    job = EncodeJob(dataset=dataset.path, store=path, manifest=manifest, checkpoint=checkpoint)
    blocks = (
        encode_with_ray(job, missing, workers)
        if workers.actors != 0
        else encode_here(job, dataset, missing)
    )
    started, encoded = time.monotonic(), 0
    for commits in blocks:
        store_writer.commit(commits)
        encoded += len(commits)
        if progress is not None:
            progress(
                EmbedProgress(
                    done=manifest.n_slices - len(missing) + encoded,
                    total=manifest.n_slices,
                    encoded=encoded,
                    slice_bytes=manifest.slice_bytes,
                    seconds=time.monotonic() - started,
                )
            )


def encoding_seconds(flops: float, compute: Compute) -> float:
    """Estimated time of one process on this machine, from its speed measured now (0.1 s)."""
    from sweeper.engine.embed import flops_per_second

    return flops / (flops_per_second(compute) * _EFFICIENCY)


def _announcement(
    path: Path, manifest: EmbeddingManifest, n_missing: int, seconds: float, workers: Workers
) -> str:
    """A line for the user: slices, workers, disk space and time."""
    needed, free = n_missing * manifest.slice_bytes, free_bytes(path)
    runner = "this process" if workers.actors == 0 else f"{workers.actors or 'all'} Ray actors"
    about = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
    return (
        f"embedding {n_missing} of {manifest.n_slices} slices of {manifest.dataset}"
        f"{' without a reference' if manifest.is_background else ''} with"
        f" {manifest.encoder} ({manifest.compute}) in {runner}: {needed / 1e9:.2f} GB of"
        f" {free / 1e9:.0f} GB free, about {about}"
    )


def _compute(requested: str, entry: EncoderEntry) -> Compute:
    """The arithmetic of the encoder.

    Raises:
        StoreError: It is unknown, or the encoder does not have it.
    """
    if requested == "auto":
        # vit_tiny takes milliseconds in any case, and float32 is the same on more machines
        has_bf16 = entry.weights is not None and "bf16-fused" in entry.computes
        return "bf16-fused" if has_bf16 and _has_bf16_units() else "float32-fused"
    if requested not in COMPUTES or requested not in entry.computes:
        raise StoreError(
            f"compute is {requested!r}, and {entry.name} has auto, {', '.join(entry.computes)}"
        )
    return requested


def _has_bf16_units() -> bool:
    """True if matrix products in bf16 are faster than in float32 on this machine."""
    import torch

    if torch.cuda.is_available():
        return True
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
