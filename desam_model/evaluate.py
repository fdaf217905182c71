"""From slices to cases to scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from desam_model.loader import Loader
from desam_model.metrics import score_case
from desam_model.postprocess import clean_regions
from desam_model.types import CasePrediction, CaseScore, ScoringProtocol, Slice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from desam_model.method import SegmentationMethod
    from desam_model.types import PredictionSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a method scored.

    Attributes:
        scores: Every case under both protocols, cases in the order of the view.
        predictions: The masks that were scored, one a case.
    """

    scores: tuple[CaseScore, ...]
    predictions: tuple[CasePrediction, ...]


class ReadOnce(Sequence[Slice]):
    """A view that remembers, of each slice it handed out, all but the image and the embedding.

    A loader reads the slices; what scoring needs of them is then known without a second read.

    Attributes:
        seen: Position to slice, without image and embedding.
    """

    def __init__(self, view: Sequence[Slice]) -> None:
        self._view = view
        self.seen: dict[int, Slice] = {}

    def __len__(self) -> int:
        return len(self._view)

    def __getitem__(self, index: Any) -> Any:
        one = self._view[index]
        self.seen[index] = replace(one, image=None, embedding=None)
        return one

    def slices(self) -> list[Slice]:
        """All slices without image and embedding, in order; every one must have been read."""
        return [self.seen[index] for index in range(len(self))]


@torch.inference_mode()
def predict_slices(
    method: SegmentationMethod,
    view: Sequence[Slice],
    settings: PredictionSettings,
    *,
    batch_size: int = 8,
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """Cleaned masks `(len(view), H, W)` bool, in the order of the view.

    The method is put into eval mode for the time being.
    """
    was_training = method.training
    method.eval()
    try:
        masks = []
        for batch in Loader(view, batch_size=batch_size, device=device):
            mask = method.predict(batch, settings).mask[:, 0].cpu().numpy()
            masks += [clean_regions(one, settings.min_region_px) for one in mask]
    finally:
        method.train(was_training)
    return np.stack(masks)


def evaluate(
    method: SegmentationMethod,
    view: Sequence[Slice],
    settings: PredictionSettings,
    *,
    batch_size: int = 8,
    device: torch.device | str = "cpu",
) -> Evaluation:
    """Scores of every case of a view under both protocols, from one set of predictions.

    Args:
        method: Trained; not changed.
        view: Slices of whole cases; a case's slices in any order.
        settings: What changes only the scoring.
        batch_size: Slices predicted at a time; does not change a mask.
        device: Where the method lies.

    Raises:
        ValueError: The view is empty.
    """
    if not len(view):
        raise ValueError("nothing to evaluate: the view has no slices")
    once = ReadOnce(view)
    masks = predict_slices(method, once, settings, batch_size=batch_size, device=device)
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
        for protocol in ScoringProtocol
    ]


def by_case(slices: Iterable[Slice]) -> dict[str, list[int]]:
    """Positions of each case's slices in ascending z; cases in the order of appearance."""
    found: dict[str, list[tuple[int, int]]] = {}
    for index, one in enumerate(slices):
        found.setdefault(one.case, []).append((one.z, index))
    return {case: [index for _, index in sorted(pairs)] for case, pairs in found.items()}
