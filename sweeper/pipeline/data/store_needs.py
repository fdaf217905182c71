"""What a plan says of each embedding store: its size, what is missing, and how long that takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from desam_model.encoder.registry import encoder_entry
from sweeper.pipeline.embed import encoding_seconds
from sweeper.store.embeddings.store import EmbeddingStore

if TYPE_CHECKING:
    from pathlib import Path

    from desam_model.encoder.entry import Compute
    from sweeper.store.embeddings.manifest import EmbeddingManifest


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreNeed:
    """One embedding store that a sweep reads.

    Attributes:
        name: Name of its folder.
        encoder: Name of its encoder.
        n_slices: Number of slices.
        n_missing: Number of slices that are not computed yet.
        total_bytes: Size of the complete store.
        missing_bytes: Size of the missing slices.
        flops: Floating point operations that encode the missing slices.
        compute: Arithmetic in which they are encoded.
    """

    name: str
    encoder: str
    n_slices: int
    n_missing: int
    total_bytes: int
    missing_bytes: int
    flops: float
    compute: Compute

    def seconds(self) -> float:
        """Estimated time to encode the missing slices in one process, from the speed now."""
        return encoding_seconds(self.flops, self.compute) if self.n_missing else 0.0


def store_need(path: Path, manifest: EmbeddingManifest) -> StoreNeed:
    """What the store at `path` still needs."""
    n_present = len(EmbeddingStore.open(path).commits) if path.exists() else 0
    n_missing = manifest.n_slices - n_present
    return StoreNeed(
        name=path.name,
        encoder=manifest.encoder,
        n_slices=manifest.n_slices,
        n_missing=n_missing,
        total_bytes=manifest.n_slices * manifest.slice_bytes,
        missing_bytes=n_missing * manifest.slice_bytes,
        flops=n_missing * encoder_entry(manifest.encoder).flops_per_slice,
        compute=manifest.compute,
    )
