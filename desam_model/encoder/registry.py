"""The registry of frozen encoders, and the one function that builds them.

This module does not import torch, so that planning is fast.
"""

from __future__ import annotations

from functools import cache
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from desam_model.encoder.entry import Compute, Encoder, EncoderEntry
from desam_model.encoder.sam_vit_entries import SAM_VITS
from desam_model.encoder.tiny_vit_entries import TINY_VITS
from desam_model.plugins import registry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PLUGINS = "sweeper.encoders"
"""Entry point group through which other packages add their `EncoderEntry`."""


@cache
def encoders() -> Mapping[str, EncoderEntry]:
    """All encoders by name: the built-in ones, then those of other packages.

    Raises:
        PluginError: An encoder of another package cannot be used.
    """
    return registry(PLUGINS, (*SAM_VITS, *TINY_VITS), EncoderEntry)


def encoder_entry(name: str) -> EncoderEntry:
    """The entry of the encoder with this name.

    Raises:
        ValueError: There is no such encoder.
    """
    entry = encoders().get(name)
    if entry is None:
        raise ValueError(f"encoder is {name!r}, expected one of {', '.join(encoders())}")
    return entry


def build_encoder(
    name: str, checkpoint: Path | None = None, *, compute: Compute = "float32", pool: int = 1
) -> Encoder:
    """The encoder with this name, on the CPU.

    Args:
        name: One of `encoders()`.
        checkpoint: File with its weights; None if the encoder needs none.
        compute: `float32` runs the original modules; the fused variants are faster, need less
            memory and give the same result up to rounding.
        pool: One of `POOLS`: side of the squares of tokens whose mean is returned.

    Raises:
        ValueError: The name is unknown, or the checkpoint is missing, unreadable or of another
            model.
    """
    entry = encoder_entry(name)
    if compute not in entry.computes:
        raise ValueError(
            f"compute is {compute!r}, and {name} has {', '.join(entry.computes)}; another one would"
            " change its output by more than 1e-2"
        )
    encoder: Encoder = resolve_name(entry.build)(entry, checkpoint, compute)
    if pool == 1:
        return encoder
    from desam_model.encoder.pooling import PooledEncoder  # torch: seconds

    return PooledEncoder(encoder, pool)
