"""The names of encoders in a table: random weights are called so wherever a name stands."""

from __future__ import annotations

from desam_model.encoder.registry import encoders

ENCODER_KEY = "encoder.name"
"""The setting that names a training's encoder."""


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
