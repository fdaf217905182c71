"""Precisions in which embeddings can be stored; one entry per precision, read without torch."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """One way in which the numbers of an embedding are stored.

    Attributes:
        name: Key in options and manifests; also NumPy's and torch's name of the type.
        value_bytes: Bytes per number.
        has_scales: True for whole numbers, which are stored with one float32 scale per channel.
        smaller: Names of the precisions that a store of this one can be converted to.
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
"""Every precision by name, the default first."""

DEFAULT_PRECISION = next(iter(PRECISIONS))
"""float16: half the bytes of float32, and a slice is still one memory map."""
