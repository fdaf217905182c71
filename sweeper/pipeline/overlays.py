"""One picture per target domain: the median case's largest slice with both contours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sweeper.store.dataset_store import DatasetStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sweeper.plan.expand import Training
    from sweeper.store.ledger import TrainingFolder

REFERENCE_RGB = (64, 220, 96)
PREDICTION_RGB = (255, 64, 64)
_ZOOM = 2


def draw_overlays(training: Training, folder: TrainingFolder) -> Mapping[str, Path]:
    """PNG files `overlay-<domain>.png` of the first evaluation; reference green, prediction red.

    The case is the one with the median strict Dice (the lower one of two), the slice the one with
    the largest reference: chosen by rule, before looking.
    """
    eval_id = training.evaluations[0].eval_id
    found = folder.evaluation(eval_id)
    if found is None:
        return {}
    dataset = DatasetStore.open(Path(training.data.path))
    scores: dict[str, list[tuple[float, str]]] = {}
    for score in found["scores"]:
        if score["protocol"] == "strict" and score["domain"] != training.config.source:
            scores.setdefault(score["domain"], []).append((_sortable(score["dice"]), score["case"]))
    pictures: dict[str, Path] = {}
    with np.load(folder.evaluation_folder(eval_id) / "masks.npz") as masks:
        for domain, cases in scores.items():
            _, case = sorted(cases)[(len(cases) - 1) // 2]
            path = folder.evaluation_folder(eval_id) / f"overlay-{domain}.png"
            _draw(dataset, case, str(training.config.structure), masks[case], path)
            pictures[f"overlays/{domain}.png"] = path
    return pictures


def _sortable(dice: float) -> float:
    return -1.0 if dice != dice else dice


def _draw(
    dataset: DatasetStore, case: str, structure: str, packed: NDArray[np.uint8], path: Path
) -> None:
    from PIL import Image

    record = next(c for c in dataset.cases if c.case == case)
    indices = [
        record.start + i for i, is_there in enumerate(record.foreground[structure]) if is_there
    ]
    references = [dataset.mask(i, structure) for i in indices]
    z = int(np.argmax([reference.sum() for reference in references]))
    reference = references[z].astype(bool)
    prediction = np.unpackbits(packed[z], axis=-1, count=reference.shape[-1]).astype(bool)
    grey = dataset.image(indices[z])[0].repeat(_ZOOM, 0).repeat(_ZOOM, 1)
    picture = np.stack([grey] * 3, axis=-1)
    for mask, colour in ((reference, REFERENCE_RGB), (prediction, PREDICTION_RGB)):
        picture[outline(mask.repeat(_ZOOM, 0).repeat(_ZOOM, 1))] = colour
    Image.fromarray(picture).save(path)


def outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels of a mask `(H, W)` that touch a pixel outside of it (4-neighbours)."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner
