"""`sweeper predict`: segments images that were never imported, and says which to look at."""

from __future__ import annotations

import csv
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from desam_model.scoring.metric_table import metrics
from sweeper.data.foreign_masks import find_masks
from sweeper.data.mask_file import mask_name, write_mask
from sweeper.data.volume import VOLUME_SUFFIXES, read_volume, suffix_of
from sweeper.data.voxel_files import VolumeError, natural_key
from sweeper.errors import DataError
from sweeper.pipeline.predicting.preview import write_preview
from sweeper.predict.cells import find_models
from sweeper.predict.flags import Flag, flags_of
from sweeper.predict.model_folder import open_model_folder
from sweeper.predict.predictor import Predictor
from sweeper.predict.scan import Scan, read_scan
from sweeper.predict.trained import open_trained

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from sweeper.predict.predictor import SlicePredictions
    from sweeper.store.workspace import Workspace

TABLE = "predictions.csv"
_COLUMNS = (
    "case", "image", "mask", "volume_ml", "predicted_iou", "slices", "segmented_slices",
    "intensity_distance", "intensity_limit", "flags", "seconds", "model", "problem",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictRequest:
    """The arguments of `sweeper predict`.

    Attributes:
        cells: The words that name models; see `sweeper.predict.cells`.
        images: Files, folders of pictures, or folders of volumes.
        output: Folder of the masks; created.
        domain: Domain whose preprocessing is used; by default the one that was trained on.
        references: Folder of reference masks, named after the images; None to score nothing.
        label: Value of the structure in the references; None means every value above 0.
    """

    cells: tuple[str, ...]
    images: tuple[Path, ...]
    output: Path
    domain: str | None = None
    references: Path | None = None
    label: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedCase:
    """The prediction of one image.

    Attributes:
        case: Its name.
        image: Its file.
        mask: The written mask; None if there is none.
        volume_ml: Segmented volume; nan if the file has no voxel size.
        predicted_iou: Mean over the segmented slices; nan if the model predicts none.
        n_slices: Number of slices.
        n_segmented: Number of slices with a mask.
        intensity_distance: See `sweeper.predict.intensities`.
        flags: Why it should be looked at.
        seconds: Time from reading to writing.
        scores: Metric -> value on the image's own grid; empty without a reference.
        problem: Why there is no mask, or no score; empty if all is well.
    """

    case: str
    image: Path
    mask: Path | None = None
    volume_ml: float = math.nan
    predicted_iou: float = math.nan
    n_slices: int = 0
    n_segmented: int = 0
    intensity_distance: float = math.nan
    flags: tuple[Flag, ...] = ()
    seconds: float = 0.0
    scores: Mapping[str, float] | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictOutcome:
    """The result of predicting images.

    Attributes:
        model: Name of the model or of the ensemble.
        cases: In the order of the images.
        table: The CSV with one line per image.
    """

    model: str
    cases: tuple[PredictedCase, ...]
    table: Path

    @property
    def failed(self) -> tuple[PredictedCase, ...]:
        """Images without a mask."""
        return tuple(case for case in self.cases if case.mask is None)


def open_predictor(
    workspace: Workspace, cells: Sequence[str], among: Collection[str] | None = None
) -> Predictor:
    """The model or ensemble that the words name, on the GPU if there is one; see `find_models`.

    Raises:
        SweeperError: A word names no model, or a part of a model is missing.
    """
    named = find_models(workspace, cells, among)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    models = [
        open_trained(workspace, folder, device, named.evaluation) for folder in named.trainings
    ]
    models += [
        open_model_folder(folder, workspace, device, named.evaluation) for folder in named.folders
    ]
    return Predictor(models)


def predict(
    workspace: Workspace,
    request: PredictRequest,
    *,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[str, int, int], None] = lambda *_: None,
    done: Callable[[PredictedCase], None] = lambda _: None,
) -> PredictOutcome:
    """Segment images; write their masks, previews and one table.

    An image that cannot be read does not stop the others.

    Args:
        workspace: With the trainings and the encoders' weights.
        request: What to predict with what.
        say: Receives the name of the model.
        progress: Called with (case, done, total) slices.
        done: Called after each image.

    Raises:
        SweeperError: The model, the images or the references cannot be found, or two images would
            have the same mask file.
    """
    # check everything that can be checked before the first image
    images = find_images(request.images)
    references = None
    if request.references is not None:
        names = [_case(image) for image in images]
        references = find_masks(request.references, names, images=images)
    predictor = open_predictor(workspace, request.cells)
    settings = predictor.settings_for(request.domain)
    say(predictor.name)
    request.output.mkdir(parents=True, exist_ok=True)
    # one image at a time
    cases = []
    for image in images:
        started = time.perf_counter()
        try:
            scan = read_scan(image, settings, predictor.facts.sizes.image_channels)
            case = _predict_scan(scan, predictor, request, references, progress, started)
        except DataError as err:
            case = PredictedCase(case=_case(image), image=image, problem=str(err))
        cases.append(case)
        done(case)
    table = request.output / TABLE
    _write_table(table, cases, predictor)
    return PredictOutcome(model=predictor.name, cases=tuple(cases), table=table)


def find_images(paths: Sequence[Path]) -> list[Path]:
    """The images that paths name: files, folders of pictures, and the volumes of other folders.

    Raises:
        DataError: A path does not exist or holds no image, or two images would have the same mask.
    """
    images: list[Path] = []
    for path in paths:
        if not path.exists():
            raise DataError(f"image {path} does not exist; name a file or a folder")
        volumes = []
        if path.is_dir():
            files = (file for file in path.iterdir() if file.is_file())
            volumes = [file for file in files if suffix_of(file) in VOLUME_SUFFIXES]
        images += sorted(volumes, key=lambda f: natural_key(f.name)) or [path]
    if not images:
        raise DataError("no image is named; name files, or folders of volumes or pictures")
    by_mask: dict[str, Path] = {}
    for image in images:
        other = by_mask.setdefault(mask_name(image), image)
        if other != image:
            raise DataError(
                f"{other} and {image} would have the same mask, {mask_name(image)}; predict them"
                " into different folders"
            )
    return images


def _case(image: Path) -> str:
    return image.name if image.is_dir() else image.name.removesuffix(suffix_of(image))


def _predict_scan(
    scan: Scan,
    predictor: Predictor,
    request: PredictRequest,
    references: Mapping[str, Path] | None,
    progress: Callable[[str, int, int], None],
    started: float,
) -> PredictedCase:
    """Predict a scan and write its mask and its preview."""
    predicted = predictor.predict(scan.pixels, lambda n, total: progress(scan.case, n, total))
    restored = scan.restore(predicted.mask)
    mask = write_mask(restored, scan.path, scan.volume, request.output)
    reference, scores, problem = None, None, ""
    if references is not None:
        try:
            reference = _reference(references.get(scan.case), scan, request.label)
            scores = _scores(restored.astype(bool), reference, scan)
        except DataError as err:
            problem = str(err)
    previews = request.output / "previews"
    previews.mkdir(exist_ok=True)
    write_preview(previews / f"{scan.case}.png", scan, predicted.mask, reference)
    intensities = predictor.facts.intensities
    shown: NDArray[np.bool_] = np.array([plane.any() for plane in predicted.mask])
    return PredictedCase(
        case=scan.case,
        image=scan.path,
        mask=mask,
        volume_ml=int(restored.sum()) * scan.voxel_ml,
        predicted_iou=mean_iou(predicted, shown),
        n_slices=len(shown),
        n_segmented=int(shown.sum()),
        intensity_distance=intensities.distance(scan.pixels),
        flags=flags_of(predicted.mask, scan.pixels, intensities),
        seconds=time.perf_counter() - started,
        scores=scores,
        problem=problem,
    )


def mean_iou(predicted: SlicePredictions, shown: NDArray[np.bool_]) -> float:
    """Mean predicted IoU of the segmented slices; nan without one."""
    values = predicted.predicted_iou[shown]
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else math.nan


def _reference(path: Path | None, scan: Scan, label: int | None) -> NDArray[np.bool_]:
    """The reference of a scan, `(z, y, x)` in the canonical frame.

    Raises:
        DataError: There is none, it cannot be read, or it has another grid.
    """
    if path is None:
        raise DataError("there is no reference of its name")
    try:
        values = read_volume(path).array[0]
    except (VolumeError, OSError) as err:
        raise DataError(f"reference {path}: {err}") from err
    if values.shape != scan.shape:
        raise DataError(
            f"reference {path}: its grid is {values.shape}, but the image's is {scan.shape}; write"
            " it on the image's grid"
        )
    reference: NDArray[np.bool_] = values == label if label is not None else values > 0
    return reference


def _scores(mask: NDArray[np.bool_], reference: NDArray[np.bool_], scan: Scan) -> dict[str, float]:
    """Every metric on the scan's own grid; distances are nan if the file has no voxel size."""
    scores = {}
    for name, metric in metrics().items():
        is_known = scan.volume.has_geometry or metric.unit != "mm"
        measured = metric.function()(mask, reference, scan.volume.spacing_mm) if is_known else None
        scores[name] = math.nan if measured is None else measured
    return scores


def _write_table(path: Path, cases: Sequence[PredictedCase], predictor: Predictor) -> None:
    """One line per image; undefined numbers are empty."""
    has_scores = any(case.scores is not None for case in cases)
    names = list(metrics()) if has_scores else []
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow([*_COLUMNS, *names])
        for case in cases:
            scores = case.scores or {}
            table.writerow(
                [
                    case.case,
                    case.image,
                    "" if case.mask is None else case.mask.name,
                    _number(case.volume_ml, 3),
                    _number(case.predicted_iou, 4),
                    case.n_slices,
                    case.n_segmented,
                    _number(case.intensity_distance, 3),
                    _number(predictor.facts.intensities.limit, 3),
                    " ".join(case.flags),
                    _number(case.seconds, 2),
                    " ".join(model.facts.train_id for model in predictor.models),
                    case.problem,
                    *(_number(scores.get(name, math.nan), 6) for name in names),
                ]
            )


def _number(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"
