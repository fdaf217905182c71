"""One picture per target domain: the median case's largest slice with both contours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from desam_model.scoring.metric_table import MAIN
from desam_model.scoring.protocol_table import STRICT
from sweeper.config.sources import domains_in
from sweeper.report.figures.contours import PREDICTION_RGB, REFERENCE_RGB, paint, unpack
from sweeper.store.dataset.store import DatasetStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sweeper.plan.expand import Training
    from sweeper.store.ledger import TrainingFolder

_ZOOM = 2


def draw_overlays(training: Training, folder: TrainingFolder) -> Mapping[str, Path]:
    """PNG files `overlay-<domain>.png` of the first evaluation; reference green, prediction red.

    The case is the one with the median of the strict main metric (the worse one of two), the slice
    the one with the largest reference: chosen by rule, before looking.
    """
    eval_id = training.evaluations[0].eval_id
    scored = folder.evaluation(eval_id)
    if scored is None:
        return {}
    dataset = DatasetStore.open(Path(training.data.path))
    scores: dict[str, list[tuple[float, str]]] = {}
    for score in scored["scores"]:
        is_source = score["domain"] in domains_in(training.config.source)
        if score["protocol"] == STRICT.name and not is_source:
            goodness = MAIN.goodness(score["values"][MAIN.name])
            scores.setdefault(score["domain"], []).append((goodness, score["case"]))
    pictures: dict[str, Path] = {}
    evaluation = folder.evaluation_folder(eval_id)
    with np.load(evaluation / "masks.npz") as masks:
        for domain, cases in scores.items():
            _, case = sorted(cases)[(len(cases) - 1) // 2]
            name = domain.replace("/", "-")  # of an in-domain test
            path = evaluation / f"overlay-{name}.png"
            _draw(dataset, case, str(training.config.structure), masks[case], path)
            pictures[f"overlays/{name}.png"] = path
    return pictures


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
    prediction = unpack(packed[z], reference.shape[-1])
    layers = ((reference, REFERENCE_RGB), (prediction, PREDICTION_RGB))
    Image.fromarray(paint(dataset.image(indices[z])[0], layers, zoom=_ZOOM, thickness=2)).save(path)
