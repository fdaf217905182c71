"""Evaluation of a method: predicts slices, groups them by case, and scores the cases."""

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
    """Result of an evaluation.

    Attributes:
        scores: The scores of all cases under all protocols, with cases in the order of the view.
        predictions: The masks that were scored, one entry per case.
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
    """Predicted masks after clean-up, `(len(view), H, W)` bool, in the order of the view.

    The method is in eval mode during the call.
    """
    was_training = method.training
    method.eval()
    try:
        masks = []
        for batch in batches(view):
            predicted = method.predict(batch, settings).mask[:, 0].cpu().numpy()
            masks += [clean_regions(mask, settings.min_region_px) for mask in predicted]
    finally:
        method.train(was_training)
    return np.stack(masks)


def evaluate(
    method: SegmentationMethod,
    view: Sequence[Slice],
    settings: PredictionSettings,
    batches: Batches,
) -> Evaluation:
    """Scores of all cases of a view under all protocols, from one set of predictions.

    Args:
        method: A trained method; it is not changed.
        view: Slices of complete cases; the slices of a case may be in any order.
        settings: Settings that change only the scoring.
        batches: Returns the batches of a view, in its order, on the method's device; the batch size
            does not affect the masks.

    Raises:
        ValueError: The view is empty.
    """
    if not len(view):
        raise ValueError("there is nothing to evaluate: the view has no slices")
    # predict all slices
    recorded_view = ReadOnce(view)
    masks = predict_slices(method, recorded_view, settings, batches)
    # score case by case
    scores: list[CaseScore] = []
    predictions: list[CasePrediction] = []
    slices = recorded_view.slices()
    for case, order in by_case(slices).items():
        first = slices[order[0]]
        prediction = masks[order]
        predictions.append(CasePrediction(case=case, domain=first.domain, mask=prediction))
        scores += score_protocols(prediction, [slices[i] for i in order])
    return Evaluation(scores=tuple(scores), predictions=tuple(predictions))


def score_protocols(prediction: np.ndarray, slices: Sequence[Slice]) -> list[CaseScore]:
    """Scores of one case under all protocols.

    Args:
        prediction: `(n, H, W)` bool.
        slices: The n slices of the case in ascending z.
    """
    first = slices[0]
    reference = np.stack([slice_.reference.numpy() for slice_ in slices]) > 0
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
