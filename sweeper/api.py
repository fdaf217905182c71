"""The Python API: run a sweep, read its table, segment images; the command line calls the same."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import current_process
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sweeper.errors import ConfigError
from sweeper.pipeline.curves import draw_curves
from sweeper.pipeline.display import Silent
from sweeper.pipeline.predicting.predict import mean_iou, open_predictor
from sweeper.pipeline.predicting.preview import draw_preview
from sweeper.pipeline.report import changed_query, read_report_key, rows_text, tables
from sweeper.predict.flags import flags_of
from sweeper.predict.scan import read_scan, scan_of_array
from sweeper.report.formats.html import html_table
from sweeper.report.formats.registry import RENDERERS
from sweeper.report.formats.terminal import render_terminal
from sweeper.report.words import without_provenance
from sweeper.store.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from sweeper.data.volume import Volume
    from sweeper.pipeline.bundling.bundle import Bundled
    from sweeper.pipeline.bundling.verify import Verification
    from sweeper.pipeline.display import Display
    from sweeper.predict.flags import Flag
    from sweeper.predict.predictor import Predictor
    from sweeper.predict.scan import Scan
    from sweeper.report.query import Query
    from sweeper.report.table import ReportTable

__all__ = [
    "Model",
    "Segmentation",
    "Sweep",
    "Table",
    "load_model",
    "open_sweep",
    "run",
    "verify",
]

Place = str | Path


def run(
    space: Place,
    *,
    dataset: str | None = None,
    encoder: str | None = None,
    settings: Sequence[str] = (),
    workspace: Place | None = None,
    address: str | None = None,
    display: Display | None = None,
) -> Sweep:
    """Run the missing trainings of a search space; the same call again resumes what is not done.

    Args:
        space: The YAML file.
        dataset: Name or path of a dataset; by default the phantom.
        encoder: `vit_tiny` (default), `vit_b`, `vit_l` or `vit_h`.
        settings: Further overrides, such as `["training.epochs=5"]`.
        workspace: Folder of everything; by default `SWEEPER_WORKSPACE`, or `./workspace`.
        address: Of a Ray cluster; by default this machine.
        display: Receives the progress; by default nothing is shown.

    Raises:
        SweeperError: The space or the data is wrong; trainings that fail do not raise, see
            `Sweep.failures`.
    """
    if getattr(current_process(), "_inheriting", False):  # a worker that reads the script again
        raise ConfigError(
            "sweeper.run is called where worker processes read your script; put the call below"
            ' if __name__ == "__main__":'
        )
    from sweeper.pipeline.run import RunRequest  # Ray and MLflow: seconds
    from sweeper.pipeline.run import run as run_space

    chosen = {"dataset": dataset, "encoder.name": encoder}
    overrides = [f"{key}={value}" for key, value in chosen.items() if value is not None]
    opened = _workspace(workspace)
    request = RunRequest(space=Path(space), settings=(*settings, *overrides), address=address)
    outcome = run_space(opened, request, display or Silent())
    return Sweep(
        workspace=opened,
        name=outcome.name,
        failures=tuple(
            f"{cell.training.config.name()}: {cell.note}"
            for cell in outcome.cells
            if cell.state.value == "failed"
        ),
    )


def open_sweep(name: Place | None = None, *, workspace: Place | None = None) -> Sweep:
    """A sweep whose results are in the workspace; nothing is run.

    Args:
        name: Name of the sweep or its search space; by default the latest sweep.
        workspace: As for `run`.

    Raises:
        SweeperError: There is no such sweep.
    """
    opened = _workspace(workspace)
    wanted = None if name is None else str(name)
    if wanted is not None and wanted.endswith((".yaml", ".yml")):
        wanted, _ = read_report_key(Path(wanted))
    names = None if wanted is None else [wanted]
    found = changed_query(opened, names, None, {})
    return Sweep(workspace=opened, name=found.results.sweeps[-1].name)


def load_model(path: Place, *more: Place, workspace: Place | None = None) -> Model:
    """The model of a folder that `sweeper export` wrote; several folders are an ensemble.

    Args:
        path: The folder.
        more: Further members.
        workspace: With SAM's checkpoint, if the model's encoder needs one.

    Raises:
        SweeperError: A folder is incomplete, or the encoder's checkpoint is missing.
    """
    folders = [str(folder) for folder in (path, *more)]
    return Model(open_predictor(_workspace(workspace), folders))


def verify(
    bundle: Place,
    *,
    sample: int = 3,
    seed: int = 0,
    workspace: Place | None = None,
    display: Display | None = None,
) -> Verification:
    """Repeat random trainings of a bundle on this workspace's data, and compare all their values.

    Args:
        bundle: The zip file of `Sweep.bundle`.
        sample: Trainings to repeat.
        seed: Seed of their choice.
        workspace: As for `run`.
        display: As for `run`.

    Raises:
        SweeperError: The bundle is damaged; trainings that disagree do not raise, see
            `Verification.agrees`.
    """
    from sweeper.pipeline.bundling.verify import verify as verify_bundle

    opened = _workspace(workspace)
    return verify_bundle(opened, Path(bundle), display or Silent(), sample=sample, seed=seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """The results of a search space.

    Attributes:
        workspace: Where they are.
        name: Of the sweep.
        failures: Failed trainings of this run, with the reason; empty for `open_sweep`.
    """

    workspace: Workspace
    name: str
    failures: tuple[str, ...] = ()

    def table(self, **query: Any) -> Table:
        """The table of the sweep.

        Args:
            query: Changes of the space's `report:`, such as `protocol="strict"`, `rows="ablation"`,
                `columns="matrix"`, `metric="hd95_mm"` (docs/report.md).

        Raises:
            SweeperError: The query is wrong.
        """
        asked = self._query(query)
        return Table(tables(asked)[0])

    def rows(self, **query: Any) -> list[dict[str, Any]]:
        """Every value of every case, protocol and metric; `pandas.DataFrame(rows)` takes them.

        Args:
            query: As for `table`.
        """
        text, _ = rows_text(self._query(query), "long")
        return [
            {**row, "value": float(row["value"]) if row["value"] else float("nan")}
            for row in csv.DictReader(io.StringIO(text))
        ]

    def curves(self, **query: Any) -> Figure:
        """Loss and source-validation Dice per epoch, one column per source.

        Args:
            query: As for `table`.
        """
        return draw_curves(self.workspace, self._query(query))

    def bundle(self, path: Place, **query: Any) -> Bundled:
        """Write tables, values, configs, versions and hashes as one zip file for `verify`.

        Args:
            path: The zip file.
            query: As for `table`.

        Raises:
            SweeperError: The file cannot be written, or an earlier version ran the sweep.
        """
        from sweeper.pipeline.bundling.bundle import bundle

        return bundle(self.workspace, self._query(query), Path(path))

    def cell(self, **conditions: Any) -> Model:
        """The model of a cell; conditions that leave only seeds and folds open are an ensemble.

        Args:
            conditions: Keys of the search space, such as `method="desam", source="A-ISBI", seed=0`.

        Raises:
            SweeperError: No training of the sweep fulfils them, or different ones do.
        """
        words = [f"{key}={value}" for key, value in conditions.items()]
        among = {entry.train_id for entry in self._query({}).entries}
        return Model(open_predictor(self.workspace, words, among))

    def compare(self, cells: Sequence[str], case: str, z: int | None = None) -> Figure:
        """One slice of a case as several models segment it, with differences and prompts.

        Args:
            cells: Conditions of each, such as `["method=desam seed=0", "method=unet seed=0"]`.
            case: A case of the dataset.
            z: Slice of the scan, 0-based; by default the one with the largest reference.

        Raises:
            SweeperError: A cell names no training of the sweep, or the case does not exist.
        """
        from sweeper.pipeline.predicting.compare import compare

        among = {entry.train_id for entry in self._query({}).entries}
        return compare(self.workspace, cells, case, z=z, among=among).figure

    def _query(self, changes: dict[str, Any]) -> Query:
        return changed_query(self.workspace, [self.name], None, changes)


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its caption; a notebook shows it as the HTML page does.

    Attributes:
        report: The table with all marks and texts.
    """

    report: ReportTable

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, the average last."""
        return self.report.columns

    @property
    def index(self) -> tuple[str, ...]:
        """Names of the rows."""
        return tuple(row.label for row in self.report.rows)

    @property
    def values(self) -> tuple[tuple[float | None, ...], ...]:
        """The cells by row in the printed unit; None where a seed is missing, nan if undefined."""
        return tuple(tuple(cell.value for cell in row.cells) for row in self.report.rows)

    @property
    def caption(self) -> str:
        """What the values are, one sentence per line."""
        return "\n".join(self.report.caption)

    @property
    def draft_reasons(self) -> tuple[str, ...]:
        """Why the table is not final; empty if it is."""
        return self.report.draft_reasons

    def __getitem__(self, place: tuple[str, str]) -> float | None:
        """The value of `table[row, column]`.

        Raises:
            KeyError: There is no such row or column.
        """
        row, column = place
        if row not in self.index or column not in self.columns:
            raise KeyError(f"{place!r}; rows {self.index}, columns {self.columns}")
        return self.values[self.index.index(row)][self.columns.index(column)]

    def render(self, form: str) -> str:
        """The table as `markdown`, `csv`, `latex` or `json`.

        Raises:
            KeyError: The format is another one.
        """
        return RENDERERS[form](self.report)

    def __str__(self) -> str:
        return render_terminal(without_provenance(self.report))

    def _repr_html_(self) -> str:
        return html_table(self.report)


class Model:
    """A trained model, or an ensemble.

    Args:
        predictor: The opened members.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    @property
    def name(self) -> str:
        """Human name, such as `desam full prostate A-ISBI seed 0`."""
        return self.predictor.name

    def __repr__(self) -> str:
        return f"<Model {self.name}>"

    def predict(
        self,
        image: Place | NDArray[Any],
        *,
        spacing_mm: tuple[float, float, float] | None = None,
        domain: str | None = None,
    ) -> Segmentation:
        """Segment an image, with the masks of `sweeper predict`.

        Args:
            image: A file of any format that import reads, a folder of pictures, or an array
                `(z, y, x)`, `(y, x)` or `(C, z, y, x)` with row 0 anterior, column 0 the patient's
                right and slice 0 inferior.
            spacing_mm: (z, y, x) voxel size of an array; a file has its own.
            domain: Domain whose preprocessing is used; by default the one that was trained on.

        Raises:
            SweeperError: The image cannot be read, or the model cannot use it.
        """
        settings = self.predictor.settings_for(domain)
        channels = self.predictor.facts.sizes.image_channels
        if isinstance(image, str | Path):
            scan = read_scan(Path(image), settings, channels)
        else:
            scan = scan_of_array(image, spacing_mm, settings, channels)
        predicted = self.predictor.predict(scan.pixels)
        shown: NDArray[np.bool_] = np.array([plane.any() for plane in predicted.mask])
        return Segmentation(
            scan=scan,
            slices=predicted.mask,
            predicted_iou=mean_iou(predicted, shown),
            flags=flags_of(predicted.mask, scan.pixels, self.predictor.facts.intensities),
        )


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """The prediction of one image; a notebook shows its preview.

    Attributes:
        scan: The image.
        slices: `(n, H, W)` bool, in the frame of the prepared slices, as scorings compare them.
        predicted_iou: Mean over the segmented slices; nan if the model predicts none.
        flags: Why it should be looked at.
    """

    scan: Scan
    slices: NDArray[np.bool_]
    predicted_iou: float
    flags: tuple[Flag, ...]

    @cached_property
    def mask(self) -> NDArray[np.uint8]:
        """`(z, y, x)` uint8, 0 and 1, on the image's grid in the canonical frame."""
        return self.scan.restore(self.slices)

    @property
    def volume_ml(self) -> float:
        """Segmented volume in millilitres; nan if the voxel size is unknown."""
        return int(self.mask.sum()) * self.scan.voxel_ml

    @property
    def volume(self) -> Volume:
        """Geometry of the image."""
        return self.scan.volume

    def save(self, folder: Place) -> Path:
        """Write the mask in the image's own frame and format; returns its path.

        Args:
            folder: Existing folder.
        """
        from sweeper.data.mask_file import write_mask

        return write_mask(self.mask, self.scan.path, self.scan.volume, Path(folder))

    def preview(self) -> NDArray[np.uint8]:
        """Up to nine slices with the outline of the mask, `(H, W, 3)` uint8."""
        return draw_preview(self.scan, self.slices)

    def _repr_png_(self) -> bytes:
        from PIL import Image

        stream = io.BytesIO()
        # 64 colours are enough for a grey picture with outlines, and keep notebooks small
        Image.fromarray(self.preview()).quantize(64).save(stream, "PNG", optimize=True)
        return stream.getvalue()


def _workspace(place: Place | None) -> Workspace:
    """The workspace at a place, or the default one."""
    return Workspace.open(Path(place or os.environ.get("SWEEPER_WORKSPACE") or "workspace"))
