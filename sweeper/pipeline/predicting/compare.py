"""`sweeper compare`: one slice of a case as several models segment it, to explain a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from desam_model.scoring.metric_table import MAIN
from desam_model.scoring.metrics import dice
from desam_model.scoring.protocol_table import PROTOCOLS
from sweeper.config.problems import nearest
from sweeper.errors import DataError
from sweeper.pipeline.predicting.predict import open_predictor
from sweeper.report.figures.comparison import ShownModel, ShownPrompts, comparison_figure
from sweeper.store.dataset.inventory import dataset_with
from sweeper.store.dataset.store import DatasetStore
from sweeper.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from sweeper.predict.predictor import Predictor
    from sweeper.store.dataset.store import CaseRecord
    from sweeper.store.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The figure of a comparison.

    Attributes:
        figure: The figure.
        z: The shown slice of the scan, 0-based.
        is_synthetic: True for a phantom.
    """

    figure: Figure
    z: int
    is_synthetic: bool


def compare(
    workspace: Workspace,
    cells: Sequence[str],
    case: str,
    *,
    z: int | None = None,
    among: Collection[str] | None = None,
) -> Compared:
    """Draw a slice of a case: image, reference, masks, differences, prompts, predicted IoUs.

    The slice is predicted again, which gives the masks that were scored.

    Args:
        workspace: With the trainings, their dataset and their encoder.
        cells: One or more, each the words of a CELL (`sweeper.predict.cells`).
        case: A case of the dataset.
        z: The slice of the scan, 0-based; by default the one with the largest reference.
        among: The train ids that conditions may choose from; None for all of the workspace.

    Raises:
        SweeperError: A cell names no model, the models are of different datasets or structures, or
            the dataset has no such case or slice.
    """
    models = [open_predictor(workspace, cell.split(), among) for cell in cells]
    first = models[0].facts
    for other in (model.facts for model in models[1:]):
        for what, one, two in (
            ("dataset", first.identity["dataset"], other.identity["dataset"]),
            ("structure", first.config.structure, other.config.structure),
        ):
            if one != two:
                raise DataError(
                    f"{first.name} and {other.name} have different {what}s ({one}, {two}), so their"
                    " masks of a case cannot be compared; leave one out"
                )
    path = dataset_with(workspace, first.identity["dataset"], first.config.dataset)
    if path is None:
        raise DataError(
            f"dataset {first.dataset} ({first.identity['dataset']}) is not in {workspace.datasets};"
            " import it, or copy it there"
        )
    dataset = DatasetStore.open(path)
    names = [record.case for record in dataset.cases]
    if case not in names:
        raise DataError(
            f"--case {case}: dataset {dataset.name} has no such case{nearest(case, names)}; see"
            f" `sweeper data show {dataset.name}`"
        )
    record, structure = dataset.case(case), str(first.config.structure)
    position = _position(dataset, record, structure, z)
    index = record.start + position
    pixels, reference = dataset.image(index), dataset.mask(index, structure).astype(bool)
    shown = [_shown(workspace, model, case, pixels, reference) for model in models]
    where = case if case.startswith(record.domain) else f"{record.domain}, {case}"
    title = f"{where}, slice {record.z[position]}, {structure}"
    return Compared(
        figure=comparison_figure(pixels[0], reference, shown, title),
        z=record.z[position],
        is_synthetic=dataset.is_synthetic,
    )


def _position(dataset: DatasetStore, record: CaseRecord, structure: str, z: int | None) -> int:
    """Position of the shown slice among the stored slices of the case."""
    if z is None:
        areas = [int(dataset.mask(record.start + i, structure).sum()) for i in range(record.count)]
        return int(np.argmax(areas))
    if z not in record.z:
        kept = ", ".join(map(str, record.z))
        raise DataError(f"--slice {z}: {record.case} has slices {kept} in dataset {dataset.name}")
    return record.z.index(z)


def _shown(
    workspace: Workspace,
    model: Predictor,
    case: str,
    pixels: NDArray[np.uint8],
    reference: NDArray[np.bool_],
) -> ShownModel:
    predicted = model.predict(pixels[None])
    mask = predicted.mask[0]
    of_slice = MAIN.scale * dice(mask[None], reference[None], (1.0, 1.0, 1.0))
    return ShownModel(
        name=model.name,
        mask=mask,
        numbers=(*_scores(workspace, model, case), f"slice {MAIN.symbol} {of_slice:.1f}"),
        prompts=_prompts(model, pixels),
    )


def _scores(workspace: Workspace, model: Predictor, case: str) -> list[str]:
    """The scores of the case that tables use, by protocol; says so if there are none."""
    if len(model.models) > 1:
        return []
    folder = Ledger(workspace.trainings).folder(model.facts.train_id)
    wanted = model.facts.config.evaluation.model_dump(mode="json")
    for eval_id in folder.evaluations():
        scored = folder.evaluation(eval_id) or {"settings": {}, "scores": []}
        if {**wanted, **scored["settings"]} == wanted:
            values = {s["protocol"]: s["values"] for s in scored["scores"] if s["case"] == case}
            if values:
                return [
                    f"case {MAIN.symbol} {MAIN.scale * values[name][MAIN.name]:.1f} ({name})"
                    for name in PROTOCOLS
                    if MAIN.name in values.get(name, {})
                ]
    return ["case not scored so"]


def _prompts(model: Predictor, pixels: NDArray[np.uint8]) -> ShownPrompts | None:
    used = model.used_prompts(pixels[None])
    if used is None:
        return None
    box = None if used.boxes_xyxy is None else [float(v) for v in used.boxes_xyxy[0]]
    threshold = model.facts.config.evaluation.iou_threshold
    return ShownPrompts(
        points_xy=used.points_xy.cpu().numpy().astype(np.float64),
        predicted_iou=(
            None
            if used.predicted_iou is None
            else used.predicted_iou[0].cpu().numpy().astype(np.float64)
        ),
        chosen=None if used.chosen is None else int(used.chosen[0]),
        box_xyxy=None if box is None else (box[0], box[1], box[2], box[3]),
        threshold=0.0 if threshold is None else threshold,
    )
