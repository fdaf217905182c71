"""The registry of scoring protocols; this module does not import NumPy.

Everything that differs between protocols is defined here. Each case is scored under all protocols
that its predictions allow; a table prints one of them.
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
        summary: A short phrase, for help texts and the reference page.
        rule: The slices and pixels that are scored, for captions.
        needs_whole_scan: True if it compares all slices of a scan; False if the foreground slices.
        compares: `package.module:function` with the signature `(prediction, reference,
            drops_last)`. It returns the two masks `(n, H, W)` bool that the metrics compare.
            `drops_last` is True if the last slice is the last foreground slice of the case.
    """

    name: str
    summary: str
    rule: str
    needs_whole_scan: bool = False
    compares: str

    def view(
        self, prediction: np.ndarray, reference: np.ndarray, drops_last: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """The two masks that the metrics compare; see `compares`."""
        compare: View = resolve_name(self.compares)
        return compare(prediction, reference, drops_last)


RELEASED = Protocol(
    name="desam2024",
    summary="scored as DeSAM's released code does",
    rule="last foreground slice dropped, 50 px border of predictions cleared",
    compares="desam_model.scoring.protocols:as_released",
)
"""The default: its scores can be compared with those of the paper."""

STRICT = Protocol(
    name="strict",
    summary="every foreground slice, no border rule",
    rule="every foreground slice, no border rule",
    compares="desam_model.scoring.protocols:as_predicted",
)
"""Figures select and label cases by its scores."""

VOLUME = Protocol(
    name="volume",
    summary="every slice of the scan, also those without a reference; needs evaluation.whole_scan",
    rule="every slice of the scan, also those without a reference, gaps in place; no border rule",
    needs_whole_scan=True,
    compares="desam_model.scoring.protocols:as_predicted",
)
"""A mask that is too long at its ends costs something only here."""

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {protocol.name: protocol for protocol in (RELEASED, STRICT, VOLUME)}
)
"""All protocols by name, the default first."""


def protocol_choices() -> str:
    """Names and meanings of all protocols, for help texts and the reference page."""
    return "; ".join(f"{protocol.name}: {protocol.summary}" for protocol in PROTOCOLS.values())
