"""Scores of a case, and the predicted masks that were scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from desam_model.types import Domain


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseScore:
    """One case volume scored under one protocol.

    Attributes:
        case: Case id.
        domain: Domain of the case.
        structure: Segmented structure.
        protocol: Name of the protocol.
        n_slices: Number of scored slices.
        values: All metrics by name, unscaled; nan where undefined.
    """

    case: str
    domain: Domain
    structure: str
    protocol: str
    n_slices: int
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class CasePrediction:
    """The predicted masks of one case, stored so that all scores can be recomputed.

    Attributes:
        case: Case id.
        domain: Domain of the case.
        mask: `(n, H, W)` bool, the foreground slices of the case in ascending z, after the clean-up
            of small regions.
        scan: `(m, H, W)` bool, likewise of all slices; None unless the whole scan was predicted.
    """

    case: str
    domain: Domain
    mask: np.ndarray
    scan: np.ndarray | None = None
