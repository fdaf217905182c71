"""The scoring protocols: what each counts, in words and as a function; read without NumPy.

Everything that differs between protocols is stated here. Every case is scored under all of them,
from the same predictions; a table prints one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pkgutil import resolve_name
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    View = Callable[[np.ndarray, np.ndarray, bool], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """One way to score a case.

    Attributes:
        name: Key in configs, files and options.
        summary: One clause, for help and the reference.
        rule: What it counts, for captions.
        compares: `package.module:function` of `(prediction, reference, drops_last)` that returns
            the two arrays which the metrics compare: masks `(n, H, W)` bool; `drops_last` is True
            if the last slice is the case's last foreground slice.
    """

    name: str
    summary: str
    rule: str
    compares: str

    def view(
        self, prediction: np.ndarray, reference: np.ndarray, drops_last: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """The two arrays that the metrics compare; see `compares`."""
        compare: View = resolve_name(self.compares)
        return compare(prediction, reference, drops_last)


RELEASED = Protocol(
    name="desam2024",
    summary="scored as DeSAM's released code does",
    rule="last foreground slice dropped, 50 px border of predictions cleared",
    compares="desam_model.scoring.protocols:as_released",
)
"""The default: numbers that compare with the paper's."""

STRICT = Protocol(
    name="strict",
    summary="every foreground slice, no border rule",
    rule="every foreground slice, no border rule",
    compares="desam_model.scoring.protocols:as_predicted",
)
"""What pictures of cases are chosen and labelled by."""

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {protocol.name: protocol for protocol in (RELEASED, STRICT)}
)
"""Every protocol by name, the default first."""


def protocol_choices() -> str:
    """What each name means, for help and the reference."""
    return "; ".join(f"{protocol.name}: {protocol.summary}" for protocol in PROTOCOLS.values())
