"""From slices to cases to scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from desam_model.scoring.case_score import CasePrediction, CaseScore
from desam_model.scoring.clean_up import clean_regions
from desam_model.scoring.metrics import score_case
from desam_model.scoring.protocol_table import PROTOCOLS
from desam_model.slices import ReadOnce, by_case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from desam_model.method import SegmentationMethod
    from desam_model.types import Batch, PredictionSettings, Slice

    Batches = Callable[[Sequence[Slice]], Iterable[Batch]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a method scored.

    Attributes:
        scores: Every case under both protocols, cases in the order of the view.
        predictions: The masks that were scored, one a case.
    """

    scores: tuple[CaseScore, ...]
    predictions: tuple[CasePrediction, ...]


@torch.inference_mode()
def predict_slices(
    method: SegmentationMethod,
    view: Sequence[Slice],
    settings: PredictionSettings,
    batches: Batches,
) -> np.ndarray:
    """Cleaned masks `(len(view), H, W)` bool, in the order of the view.

    The method is put into eval mode meanwhile.
    """
    was_training = method.training
    method.eval()
    try:
        masks = []
        for batch in batches(view):
            mask = method.predict(batch, settings).mask[:, 0].cpu().numpy()
            masks += [clean_regions(one, settings.min_region_px) for one in mask]
    finally:
        method.train(was_training)
    return np.stack(masks)


def evaluate(
    method: SegmentationMethod,
    view: Sequence[Slice],
    settings: PredictionSettings,
    batches: Batches,
) -> Evaluation:
    """Scores of every case of a view under both protocols, from one set of predictions.

    Args:
        method: Trained; not changed.
        view: Slices of whole cases; a case's slices in any order.
        settings: What changes only the scoring.
        batches: Makes batches of a view, in its order, on the method's device; their size does not
            change a mask.

    Raises:
        ValueError: The view is empty.
    """
    if not len(view):
        raise ValueError("nothing to evaluate: the view has no slices")
    once = ReadOnce(view)
    masks = predict_slices(method, once, settings, batches)
    scores: list[CaseScore] = []
    predictions: list[CasePrediction] = []
    slices = once.slices()
    for case, order in by_case(slices).items():
        first = slices[order[0]]
        prediction = masks[order]
        predictions.append(CasePrediction(case=case, domain=first.domain, mask=prediction))
        scores += score_protocols(prediction, [slices[i] for i in order])
    return Evaluation(scores=tuple(scores), predictions=tuple(predictions))


def score_protocols(prediction: np.ndarray, slices: Sequence[Slice]) -> list[CaseScore]:
    """One case under every protocol.

    Args:
        prediction: `(n, H, W)` bool.
        slices: The case's n slices in ascending z.
    """
    first = slices[0]
    reference = np.stack([one.reference.numpy() for one in slices]) > 0
    return [
        score_case(
            prediction,
            reference,
            case=first.case,
            domain=first.domain,
            structure=first.structure,
            spacing_mm=first.spacing_mm,
            protocol=protocol,
            drops_last=slices[-1].is_last_foreground,
        )
        for protocol in PROTOCOLS.values()
    ]
