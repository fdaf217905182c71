"""What is known of a case once it was scored, and the masks it was scored by."""

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
        protocol: How it was scored.
        n_slices: Slices that entered the score.
        values: Every metric by name, unscaled; nan where undefined.
    """

    case: str
    domain: Domain
    structure: str
    protocol: str
    n_slices: int
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class CasePrediction:
    """The masks a method made of one case, kept so that every number can be computed again.

    Attributes:
        case: Case id.
        domain: Domain of the case.
        mask: `(n, H, W)` bool, the case's kept slices in ascending z, after the clean-up of small
            regions.
    """

    case: str
    domain: Domain
    mask: np.ndarray
