"""The names of encoders in a table: random weights are called so wherever a name stands."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from desam_model.encoder.registry import encoders

if TYPE_CHECKING:
    from collections.abc import Mapping

ENCODER_KEY = "encoder.name"
"""The setting that names a training's encoder."""


ENCODER_KEYS = (ENCODER_KEY, "encoder.precision", "encoder.pool", "encoder.checkpoint")
"""The settings by which embeddings differ."""


def column_name(values: Mapping[str, str]) -> str:
    """The name of an encoder's column, such as `lite_medsam, pool 4, int8`.

    Args:
        values: Flattened settings of a training.
    """
    parts = [display_name(values.get(ENCODER_KEY) or "no encoder")]
    if values.get("encoder.pool", "1") != "1":
        parts.append(f"pool {values['encoder.pool']}")
    if values.get("encoder.precision", "float16") != "float16":
        parts.append(values["encoder.precision"])
    if values.get("encoder.checkpoint"):
        parts.append(PurePath(values["encoder.checkpoint"]).name)
    return ", ".join(parts)


def is_random(encoder: str) -> bool:
    """True if the encoder is known and its weights are random numbers."""
    entry = encoders().get(encoder)
    return entry is not None and entry.pretraining.is_random


def display_name(encoder: str) -> str:
    """An encoder's name for people."""
    return f"{encoder} (random weights)" if is_random(encoder) else encoder


def with_pretraining(encoder: str, weights: str = "") -> str:
    """An encoder's name and what its weights were trained on, as a clause of a caption.

    Args:
        encoder: Name of the encoder.
        weights: Name of the file with its weights, if the user named one.
    """
    entry = encoders().get(encoder)
    if entry is None:
        return f"{encoder} (pretraining unknown: it is not installed here)"
    if entry.pretraining.is_random:
        return display_name(encoder)
    own = "" if entry.weights is None else entry.weights.filename
    if weights not in ("", own):
        return f"{encoder} (weights from {weights}: pretraining unknown)"
    words = f"pretrained on {entry.pretraining.data}"
    if entry.pretraining.is_medical:
        words += f"; targets may have been seen in pretraining: {entry.pretraining.seen}"
    return f"{encoder} ({words})"
