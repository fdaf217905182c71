"""Encodes the slices of a scan as the training's embeddings were, without storing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from desam_model.encoder.precision import PRECISIONS
from desam_model.encoder.registry import build_encoder
from desam_model.types import Embedding
from sweeper.errors import WeightsError
from sweeper.store.embeddings.writer import quantise
from sweeper.store.weights import encoder_fingerprint, resolve_checkpoint

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from desam_model.encoder.entry import Encoder
    from sweeper.predict.facts import EncoderFacts
    from sweeper.store.workspace import Workspace


class Encoding:
    """A frozen encoder whose outputs are rounded as in an embedding store.

    Args:
        facts: The encoder of a training.
        encoder: That encoder, on its device.
    """

    def __init__(self, facts: EncoderFacts, encoder: Encoder) -> None:
        self.facts, self._encoder = facts, encoder

    @classmethod
    def build(cls, facts: EncoderFacts, workspace: Workspace, device: torch.device) -> Encoding:
        """The encoder with its checkpoint from the workspace.

        Raises:
            WeightsError: The checkpoint is missing, damaged, or not the one of the training.
        """
        checkpoint = resolve_checkpoint(workspace, facts.name)
        actual = encoder_fingerprint(facts.name, checkpoint)
        if actual != facts.fingerprint:
            raise WeightsError(
                f"the model was trained with encoder {facts.name} {facts.fingerprint[:16]}, but"
                f" {checkpoint or 'this version'} is {actual[:16]}; put the checkpoint of the"
                f" training into {workspace.weights}"
            )
        encoder = build_encoder(facts.name, checkpoint, compute=facts.compute, pool=facts.pool)
        return cls(facts, encoder.to(device))

    def embed(self, pixels: NDArray[np.uint8]) -> list[Embedding]:
        """The embeddings of slices `(n, C, H, W)` uint8, in the stored form, on the CPU.

        A block is filled up to its full size, because the arithmetic of a matrix product may
        depend on its size.

        Args:
            pixels: At most `facts.block` slices.
        """
        images = torch.from_numpy(pixels)
        n_missing = self.facts.block - len(images)
        if n_missing > 0:
            images = torch.cat([images, images[-1:].expand(n_missing, -1, -1, -1)])
        embedding = self._encoder.encode(self._encoder.preprocess(images))
        return [self._stored(embedding, row) for row in range(len(pixels))]

    def _stored(self, embedding: Embedding, row: int) -> Embedding:
        """A slice rounded as `store.embeddings.writer.stored_arrays` rounds it."""
        maps = [one[row].cpu() for one in (*embedding.taps, embedding.neck)]
        precision = PRECISIONS[self.facts.precision]
        if not precision.has_scales:
            dtype = getattr(torch, precision.name)
            *taps, neck = (one.to(dtype) for one in maps)
            return Embedding(taps=tuple(taps), neck=neck)
        quantised = [quantise(one.half()) for one in maps]
        *taps, neck = (whole for whole, _ in quantised)
        return Embedding(taps=tuple(taps), neck=neck, scales=tuple(scale for _, scale in quantised))
