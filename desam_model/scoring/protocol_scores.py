"""The scores of one case, under one protocol or all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from desam_model.scoring.case_score import CaseScore
from desam_model.scoring.metric_table import metrics
from desam_model.scoring.protocol_table import PROTOCOLS

if TYPE_CHECKING:
    import numpy as np

    from desam_model.scoring.protocol_table import Protocol
    from desam_model.types import Domain

    Masks = tuple[np.ndarray, np.ndarray]
    """Prediction and reference `(n, H, W)` bool, in ascending z."""


def score_protocols(
    shown: Masks,
    scan: Masks | None,
    *,
    case: str,
    domain: Domain,
    structure: str,
    spacing_mm: tuple[float, float, float],
    drops_last: bool = True,
) -> list[CaseScore]:
    """Scores of one case under all protocols that its masks allow.

    Args:
        shown: Masks of the foreground slices.
        scan: Masks of all slices; None leaves out the protocols that need whole scans.
        case: Case id.
        domain: Domain of the case.
        structure: Segmented structure.
        spacing_mm: Voxel spacing (z, y, x) in millimetres.
        drops_last: True if the last foreground slice is the last one of the case.
    """
    masks = {False: shown} if scan is None else {False: shown, True: scan}
    return [
        score_case(
            *masks[protocol.needs_whole_scan],
            case=case,
            domain=domain,
            structure=structure,
            spacing_mm=spacing_mm,
            protocol=protocol,
            drops_last=drops_last,
        )
        for protocol in PROTOCOLS.values()
        if protocol.needs_whole_scan in masks
    ]


def score_case(
    prediction: np.ndarray,
    reference: np.ndarray,
    *,
    case: str,
    domain: Domain,
    structure: str,
    spacing_mm: tuple[float, float, float],
    protocol: Protocol,
    drops_last: bool = True,
) -> CaseScore:
    """All metrics of one case under one protocol.

    Args:
        prediction: `(n, H, W)` bool, the slices that the protocol compares, in ascending z.
        reference: `(n, H, W)` bool.
        case: Case id.
        domain: Domain of the case.
        structure: Segmented structure.
        spacing_mm: Voxel spacing (z, y, x) in millimetres.
        protocol: The scoring protocol.
        drops_last: True if the last slice is the last foreground slice of the case.

    Raises:
        ValueError: The shapes differ or are not `(n, H, W)`.
    """
    if prediction.shape != reference.shape or prediction.ndim != 3:
        raise ValueError(
            f"case {case}: the prediction has shape {prediction.shape} and the reference"
            f" {reference.shape}; both must have the same shape (n, H, W)"
        )
    predicted, expected = protocol.view(prediction.astype(bool), reference.astype(bool), drops_last)
    return CaseScore(
        case=case,
        domain=domain,
        structure=structure,
        protocol=protocol.name,
        n_slices=len(expected),
        values={
            name: float(metric.function()(predicted, expected, spacing_mm))
            for name, metric in metrics().items()
        },
    )
