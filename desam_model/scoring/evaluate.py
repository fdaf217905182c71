"""Evaluation of a method: predicts slices, groups them by case, and scores the cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from desam_model.scoring.case_score import CasePrediction, CaseScore
from desam_model.scoring.clean_up import clean_regions
from desam_model.scoring.protocol_scores import score_protocols
from desam_model.scoring.protocols import whole_scan
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
        predictions: The masks that were scored, one entry per case; ignored pixels are cleared.
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
    others: Sequence[Slice] | None = None,
    on_case: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Scores of all cases of a view under all protocols, from one set of predictions.

    Args:
        method: A trained method; it is not changed.
        view: Foreground slices of complete cases; the slices of a case may be in any order.
        settings: Settings that change only the scoring.
        batches: Returns the batches of a view, in its order, on the method's device; the batch size
            does not affect the masks.
        others: All other slices of the same scans, whose `z` counts all slices of a scan; None to
            leave out the protocols that need whole scans. The foreground's masks and scores are
            the same with and without them.
        on_case: Called after each case is scored.

    Raises:
        ValueError: The view is empty.
    """
    if not len(view):
        raise ValueError("there is nothing to evaluate: the view has no slices")
    # predict all slices, the foreground in the same batches with the others and without
    foreground = _predict(method, view, settings, batches)
    rest = _predict(method, others, settings, batches) if others else {}
    # score case by case
    scores: list[CaseScore] = []
    predictions: list[CasePrediction] = []
    for case, (mask, slices) in foreground.items():
        first = slices[0]
        shown = _counted(mask, slices)
        scan = None
        if others is not None:
            hidden, hidden_slices = rest.get(case, (mask[:0], []))
            if hidden_slices:
                hidden, _ = _counted(hidden, hidden_slices)
            z = [slice_.z for slice_ in hidden_slices]
            scan = whole_scan(shown[0], hidden, z), whole_scan(shown[1], np.zeros_like(hidden), z)
        predictions.append(
            CasePrediction(
                case=case,
                domain=first.domain,
                mask=shown[0],
                scan=None if scan is None else scan[0],
            )
        )
        scores += score_protocols(
            shown,
            scan,
            case=case,
            domain=first.domain,
            structure=first.structure,
            spacing_mm=first.spacing_mm,
            drops_last=slices[-1].is_last_foreground,
        )
        on_case()
    return Evaluation(scores=tuple(scores), predictions=tuple(predictions))


def _counted(masks: np.ndarray, slices: Sequence[Slice]) -> tuple[np.ndarray, np.ndarray]:
    """Masks and references `(n, H, W)` bool; ignored pixels are background in both."""
    references = np.stack([slice_.reference.numpy() for slice_ in slices])
    return masks & (references >= 0), references > 0


def _predict(
    method: SegmentationMethod,
    view: Sequence[Slice],
    settings: PredictionSettings,
    batches: Batches,
) -> dict[str, tuple[np.ndarray, list[Slice]]]:
    """By case the predicted masks `(n, H, W)` and their slices, in ascending z."""
    recorded_view = ReadOnce(view)
    masks = predict_slices(method, recorded_view, settings, batches)
    slices = recorded_view.slices()
    return {
        case: (masks[order], [slices[i] for i in order]) for case, order in by_case(slices).items()
    }
