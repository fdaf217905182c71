"""What is known of a case once it was scored, and the masks it was scored by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from desam_model.scoring.protocols import ScoringProtocol
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
        dice: Overlap in [0, 1]; nan where both prediction and reference are empty.
        hd95_mm: 95th-percentile Hausdorff distance in millimetres; nan where a surface is missing.
        asd_mm: Symmetric mean surface distance in millimetres; nan where a surface is missing.
    """

    case: str
    domain: Domain
    structure: str
    protocol: ScoringProtocol
    n_slices: int
    dice: float
    hd95_mm: float
    asd_mm: float


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
