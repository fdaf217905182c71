"""Precisions in which embeddings can be stored; this module does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """A numeric type for stored embeddings.

    Attributes:
        name: Key in options and manifests; also the name of the type in NumPy and torch.
        value_bytes: Bytes per value.
        has_scales: True for integers, which are stored with one float32 scale per channel.
        smaller: Names of the precisions to which a store of this one can be converted.
    """

    name: str
    value_bytes: int
    has_scales: bool = False
    smaller: tuple[str, ...] = ()


PRECISIONS: Mapping[str, Precision] = MappingProxyType(
    {
        precision.name: precision
        for precision in (
            Precision(name="float16", value_bytes=2, smaller=("int8",)),
            Precision(name="float32", value_bytes=4, smaller=("float16", "int8")),
            Precision(name="int8", value_bytes=1, has_scales=True),
        )
    }
)
"""All precisions by name, the default first."""

DEFAULT_PRECISION = next(iter(PRECISIONS))
"""float16: half the size of float32, and a slice can still be memory-mapped."""
