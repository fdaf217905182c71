"""Small embedding stores: six slices of random maps in two cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from desam_model.encoder.entry import MapShape
from desam_model.encoder.sam_vit_entries import PREPROCESSING
from desam_model.types import Embedding
from sweeper.store.embeddings.manifest import EmbeddingManifest
from sweeper.store.embeddings.store import EmbeddingStore
from sweeper.store.embeddings.writer import ChunkWriter, StoreWriter

if TYPE_CHECKING:
    from pathlib import Path


def make_manifest(**changes) -> EmbeddingManifest:
    values = {
        "dataset": "fake",
        "dataset_fingerprint": "0123456789abcdef",
        "encoder": "vit_tiny",
        "encoder_fingerprint": "feedfeed",
        "precision": "float16",
        "preprocessing": PREPROCESSING,
        "compute": "float32",
        "block": 4,
        "codec": "none",
        "n_slices": 6,
        "taps": (MapShape(8, (4, 4)),) * 3,
        "neck": MapShape(5, (4, 4)),
        "input_px": 64,
        "product_version": "0.1.0",
    }
    half = changes.get("n_slices", 6) // 2
    values["cases"] = (("case-1", half), ("case-2", changes.get("n_slices", 6) - half))
    return EmbeddingManifest(**{**values, **changes})


def make_embedding(k: int) -> Embedding:
    generator = torch.Generator().manual_seed(k)
    return Embedding(
        taps=tuple(torch.randn(8, 4, 4, generator=generator) for _ in range(3)),
        neck=torch.randn(5, 4, 4, generator=generator),
    )


def fill(path: Path, manifest: EmbeddingManifest, indices=None) -> EmbeddingStore:
    writer = ChunkWriter(path, manifest)
    with StoreWriter(path, manifest) as store_writer:
        for k in store_writer.missing if indices is None else indices:
            store_writer.commit([writer.write(k, make_embedding(k))])
    return EmbeddingStore.open(path)
