"""Embedding a dataset: find the store, say what it costs, fill what is missing."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from desam_model.encoder_shapes import PREPROCESSING, encoder_shape
from sweeper import __version__
from sweeper.errors import StoreError, WorkspaceError
from sweeper.store.embedding_manifest import PRECISIONS, EmbeddingManifest
from sweeper.store.embedding_store import EmbeddingStore
from sweeper.store.embedding_writer import Filling
from sweeper.store.weights import encoder_fingerprint, resolve_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sweeper.store.dataset_store import DatasetStore
    from sweeper.store.workspace import Workspace

_BLOCK = {"vit_tiny": 16, "vit_b": 4, "vit_l": 2, "vit_h": 2}
"""Slices encoded together; part of the manifest, so that every run makes the same batches."""

_SPARE_BYTES = 512 * 2**20
"""Disk that an embedding job leaves free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedProgress:
    """How far an embedding job is.

    Attributes:
        done: Slices that count, also from earlier runs.
        total: Slices of the dataset.
        encoded: Slices made by this run.
        slice_bytes: Bytes of one slice on disk.
        seconds: Since this run began to encode.
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
    precision: str = "float16",
    progress: Callable[[EmbedProgress], None] | None = None,
    say: Callable[[str], None] | None = None,
    into: Path | None = None,
) -> EmbeddingStore:
    """A complete embedding store of `dataset`; what is missing of it is computed now.

    Args:
        workspace: Where stores and checkpoints lie.
        dataset: The images.
        encoder: `vit_tiny`, `vit_b`, `vit_l` or `vit_h`.
        checkpoint: SAM's file; by default the workspace's.
        precision: `float16`, `float32` or `int8`.
        progress: Called after every block.
        say: Gets lines for a person: what will be done, and whom we wait for.
        into: Folder of the store; by default one in the workspace named after what it holds.

    Raises:
        StoreError: The folder holds something else, or an embedding cannot be stored.
        WeightsError: The checkpoint is missing or damaged.
        WorkspaceError: The disk cannot hold the store.
    """
    path_to_weights = resolve_checkpoint(workspace, encoder, checkpoint)
    manifest = wanted_manifest(
        dataset, encoder, encoder_fingerprint(encoder, path_to_weights), precision
    )
    path = into or store_path(workspace, manifest)
    if path.exists():
        store = EmbeddingStore.open(path)
        store.manifest.require_same(manifest, path)
        if store.is_complete():
            return store
    say = say or (lambda line: None)
    on_wait = lambda: say(f"another process is filling {path.name}; waiting for it")  # noqa: E731
    with Filling(path, manifest, on_wait=on_wait) as filling:
        _require_disk(path, manifest, len(filling.missing))
        _fill(filling, path, manifest, dataset, path_to_weights, progress)
    return EmbeddingStore.open(path)


def wanted_manifest(
    dataset: DatasetStore, encoder: str, weights_fingerprint: str, precision: str
) -> EmbeddingManifest:
    """The manifest of the store that holds `dataset` as seen by `encoder`.

    Raises:
        StoreError: The precision is not known.
    """
    if precision not in PRECISIONS:
        raise StoreError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}")
    shape = encoder_shape(encoder)
    return EmbeddingManifest(
        dataset=dataset.name,
        dataset_fingerprint=dataset.fingerprint,
        encoder=encoder,
        encoder_fingerprint=weights_fingerprint,
        precision=precision,
        preprocessing=PREPROCESSING,
        compute="float32",
        block=_BLOCK[encoder],
        codec="none",
        n_slices=dataset.n_slices,
        num_taps=len(shape.tap_blocks),
        tap_channels=shape.tap_channels,
        neck_channels=shape.neck_channels,
        grid_hw=shape.grid_hw,
        input_px=shape.input_px,
        product_version=__version__,
        cases=tuple((record.case, record.count) for record in dataset.cases),
    )


def store_path(workspace: Workspace, manifest: EmbeddingManifest) -> Path:
    """The folder of the store in the workspace, named after what it holds."""
    name = f"{manifest.dataset}-{manifest.encoder}-{manifest.precision}"
    return workspace.embeddings / f"{name}-{manifest.fingerprint[:8]}.zarr"


def _require_disk(path: Path, manifest: EmbeddingManifest, n_missing: int) -> None:
    """Refuse before starting what the disk cannot hold."""
    needed = n_missing * manifest.slice_bytes + _SPARE_BYTES
    free = shutil.disk_usage(path).free
    if n_missing and needed > free:
        raise WorkspaceError(
            f"the disk of {path.parent} has {free / 1e9:.1f} GB free, {n_missing} slices need"
            f" {needed / 1e9:.1f} GB with a reserve; free some, choose --precision int8, or another"
            " place with --workspace"
        )


def _fill(
    filling: Filling,
    path: Path,
    manifest: EmbeddingManifest,
    dataset: DatasetStore,
    checkpoint: Path | None,
    progress: Callable[[EmbedProgress], None] | None,
) -> None:
    """Encode what is missing in this process and commit it block by block."""
    missing = filling.missing
    if not missing:
        return
    from desam_model.encoder import build_encoder
    from sweeper.engine.encode import blocks_of, encode_blocks
    from sweeper.store.embedding_writer import ChunkWriter

    encoder = build_encoder(encoder_shape(manifest.encoder).name, checkpoint)
    writer = ChunkWriter(path, manifest)
    blocks = blocks_of(missing, manifest.n_slices, manifest.block)
    started, encoded = time.monotonic(), 0
    for commits in encode_blocks(dataset, encoder, writer, blocks):
        filling.commit(commits)
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
