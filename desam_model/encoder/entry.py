"""What an encoder is to the rest of the product: its entry in the registry, and its protocol.

This module does not import torch, so that planning is fast.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import torch
    from torch import Tensor, nn

    from desam_model.types import Embedding

Compute = Literal["float32", "float32-fused", "bf16-fused", "fp16-fused"]
"""Arithmetic of an encoder: its original blocks, or fused blocks in one of three precisions."""

COMPUTES: tuple[Compute, ...] = ("float32", "float32-fused", "bf16-fused", "fp16-fused")
"""All values of `Compute`."""

INPUTS: Mapping[int, tuple[int, int, int]] = {1: (0, 0, 0), 2: (0, 0, 1), 3: (0, 1, 2)}
"""Number of an image's channels -> those that fill the three inputs of an encoder: one is repeated,
of two the first is taken twice, three are mapped."""

POOLS = (1, 2, 4)
"""Sides, in tokens, of the squares whose mean is stored; 1 stores every token."""


@dataclass(frozen=True, slots=True)
class MapShape:
    """Shape of one feature map of an embedding.

    Attributes:
        channels: Number of channels.
        grid_hw: Tokens per column and per row.
    """

    channels: int
    grid_hw: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(C, h, w)`."""
        return (self.channels, *self.grid_hw)

    @property
    def n_values(self) -> int:
        """Number of values."""
        return self.channels * self.grid_hw[0] * self.grid_hw[1]

    def pooled(self, pool: int) -> MapShape:
        """The shape after means over squares of `pool` tokens a side."""
        return MapShape(self.channels, (self.grid_hw[0] // pool, self.grid_hw[1] // pool))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretraining:
    """What an encoder's weights were trained on; the captions of tables name it.

    Attributes:
        data: The data, as a clause for a caption, such as `SA-1B (natural images)`.
        has_labels: True if people's labels were used; False for random weights.
        is_medical: True if medical images were used, so that targets may have been seen.
        is_random: True if the weights are random numbers.
        seen: What is known about the public prostate sets among the data; empty if not medical.
        citation: The paper.
        licence: Licence of the weights.
    """

    data: str
    has_labels: bool
    is_medical: bool
    is_random: bool = False
    seen: str = ""
    citation: str
    licence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsFile:
    """The file that holds an encoder's weights, and how a user gets it.

    Attributes:
        filename: Its name in the workspace's `weights/`.
        way: How to get it, as an imperative clause for messages.
        sha256: SHA-256 that the file must have, 64 hex digits; None if any file of this model
            is accepted, such as a fine-tuned one.
        md5_prefix: Start of the MD5 of the authors' file of this name, if known.
        url: Address of the folder that serves it; None if it is not downloaded.
        package: Importable package that ships it, if one does.
        path_in_package: Path below that package's folder.
    """

    filename: str
    way: str
    sha256: str | None = None
    md5_prefix: str | None = None
    url: str | None = None
    package: str | None = None
    path_in_package: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderEntry:
    """An encoder in the registry: everything that is known without building it.

    Attributes:
        name: Key in configs, options and manifests.
        description: A short phrase for help texts and docs.
        input_px: Side of the square input frame, the frame of prompt coordinates.
        preprocessing: Description of what is done to an image; part of an embedding's identity.
        taps: Shapes of the taps, earliest layer first; PDMM reads three.
        neck: Shape of the final output.
        parameters: Number of parameters.
        flops_per_slice: Floating point operations of one forward pass (2 per multiply-add).
        block: Slices per encoder batch; part of a store's manifest, so that every run forms the
            same batches.
        build: `package.module:function` with the signature `(entry, checkpoint, compute)`. It
            returns an `Encoder` on the CPU, and is imported only when slices are encoded.
        check: `package.module:function` with the signature `(entry, path)`, which raises a
            `ValueError` unless the file holds this encoder's weights; empty to skip the check.
        computes: Arithmetics that agree with `float32` to 1e-2 (relative).
        weights: The file with the weights; None if the encoder makes its own.
        fingerprint: Identity of the weights if they are not in a file, 16 hex digits.
        pretraining: What the weights were trained on.
        sizes: Further sizes of the family, which only `build` and `check` read.
    """

    name: str
    description: str
    input_px: int
    preprocessing: str
    taps: tuple[MapShape, ...]
    neck: MapShape
    parameters: int
    flops_per_slice: float
    block: int
    build: str
    check: str = ""
    computes: tuple[Compute, ...] = COMPUTES
    weights: WeightsFile | None
    fingerprint: str = ""
    pretraining: Pretraining
    sizes: Any = None

    @property
    def values_per_slice(self) -> int:
        """Number of values in the embedding of one slice."""
        return sum(shape.n_values for shape in (*self.taps, self.neck))

    def pooled(self, pool: int) -> EncoderEntry:
        """The entry with the shapes after token pooling; itself with `pool` 1.

        Raises:
            ValueError: The side is not one of `POOLS`, or does not divide a grid.
        """
        if pool == 1:
            return self
        if pool not in POOLS:
            raise ValueError(f"pool is {pool}, expected one of {', '.join(map(str, POOLS))}")
        for height, width in (shape.grid_hw for shape in (*self.taps, self.neck)):
            if height % pool or width % pool:
                raise ValueError(
                    f"pool is {pool}, which does not divide the grid {height} x {width} of"
                    f" {self.name}"
                )
        return replace(
            self, taps=tuple(tap.pooled(pool) for tap in self.taps), neck=self.neck.pooled(pool)
        )


class Encoder(Protocol):
    """A frozen image encoder; an `nn.Module` in eval mode, whose parameters need no gradient.

    Attributes:
        entry: Its entry in the registry.
        fingerprint: Identity of its weights.
        compute: Its arithmetic.
    """

    entry: EncoderEntry
    fingerprint: str
    compute: Compute

    def preprocess(self, image: Tensor) -> Tensor:
        """Images `(B, 1 to 3, H, W)` uint8 as input frames `(B, 3, input_px, input_px)` float32."""

    def encode(self, frames: Tensor) -> Embedding:
        """The embedding of preprocessed images, with the shapes of the entry."""

    def __call__(self, image: Tensor) -> Embedding:
        """The embedding of images `(B, 1 to 3, H, W)` uint8, 0..255."""

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """The frozen weights, of which the first says the device."""

    def to(self, device: torch.device | str) -> Encoder:
        """The encoder on another device."""
