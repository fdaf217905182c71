"""The HTML page of a sweep with its figures, also logged in MLflow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from sweeper.errors import StoreError, SweeperError
from sweeper.pipeline.curves import curves_of
from sweeper.pipeline.data.named import open_dataset
from sweeper.pipeline.report import PAGE, SUFFIXES, attach_report, side_tables
from sweeper.report.figures import WIDTH_CM
from sweeper.report.figures.curves import curves_figure
from sweeper.report.figures.plots import save, write_figures
from sweeper.report.figures.qualitative import choose, qualitative_figure
from sweeper.report.formats.html import Page, render_html
from sweeper.report.formats.long import render_long
from sweeper.report.formats.registry import RENDERERS, join
from sweeper.report.published_rows import bibliography
from sweeper.report.row_details import row_details
from sweeper.store.ledger import Ledger
from sweeper.tracking.run_checksum import CHECKSUM_TAG, ROWS_TAG

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sweeper.report.figures.qualitative import Choice
    from sweeper.report.query import Query
    from sweeper.report.table import ReportTable
    from sweeper.store.workspace import Workspace

_SOURCES: dict[str, Literal["columns", "rows"]] = {"source": "columns", "matrix": "rows"}
"""Direction of a table -> where it has its sources."""

_CURVES = ("train_loss", "validation_loss", "source_dice")

_CAPTIONS = {
    "boxes": "Patients of each target site, averaged over sources and seeds.",
    "forest": "Differences from the baseline row, over all patients and per target site; with three"
    " seeds and more with 95 % intervals over seeds and patients.",
    "grid": "Average score against the number of prompt points; with three seeds and more with a"
    " 95 % band over seeds and patients.",
    "matrix": "Source x target; the diagonal shows source validation.",
    "seeds": "Average score of each seed, one line per row; the bar is the mean over seeds.",
}

_CURVES_CAPTION = (
    "Learning curves, one line per training: training loss (dashed: validation loss) and Dice on"
    " the source's validation cases."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureStyle:
    """How figures are made.

    Attributes:
        width_cm: Width on paper.
        cases: Cases that the figure of cases shows; empty for those that a rule picks.
    """

    width_cm: float = WIDTH_CM
    cases: tuple[str, ...] = ()


def make_page(
    workspace: Workspace,
    query: Query,
    tables: Sequence[ReportTable],
    style: FigureStyle | None = None,
) -> str:
    """The page as text; its figures are also written to the reports of the workspace.

    Raises:
        ConfigError: A case of the style does not exist.
    """
    folder = workspace.reports / query.name
    return render_html(
        Page(
            title=f"Sweep {query.name}",
            tables=tables,
            sides=side_tables(query, workspace, has_statistics=True, has_costs=True),
            figures=figures_of(workspace, query, folder, style or FigureStyle()),
            provenance=_provenance(query),
            rows=row_details(query, partial(_curves, workspace)),
            sources=_SOURCES.get(query.spec.columns, ""),
        )
    )


def figures_of(
    workspace: Workspace, query: Query, folder: Path, style: FigureStyle
) -> dict[str, Path]:
    """Write all figures as PNG and PDF; caption -> PNG file.

    Raises:
        ConfigError: A case of the style does not exist.
    """
    written = write_figures(query, folder, width_cm=style.width_cm)
    figures = {_CAPTIONS[name]: path for name, path in written.items()}
    figures.update(_curves_figure(workspace, query, folder))
    figures.update(_case_figure(workspace, query, folder, style))
    return figures


def publish(
    workspace: Workspace,
    query: Query,
    tables: Sequence[ReportTable],
    style: FigureStyle | None = None,
) -> Path:
    """Write page, figures and tables, log them with the sweep's run, and return the page's path.

    Raises:
        ConfigError: A case of the style does not exist.
    """
    folder = workspace.reports / query.name
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / PAGE
    page.write_text(make_page(workspace, query, tables, style), encoding="utf-8")
    for name, render in RENDERERS.items():
        text = join(name, [render(table) for table in tables])
        (folder / f"table.{SUFFIXES[name]}").write_text(text, encoding="utf-8")
    cited = bibliography(row for table in tables for row in table.rows)
    if cited:
        (folder / "table.bib").write_text(cited, encoding="utf-8")
    (folder / "rows.csv").write_text(render_long(query), encoding="utf-8")
    files = {f"report/{file.name}": file for file in sorted(folder.iterdir()) if file.is_file()}
    attach_report(workspace, query, tables, files)
    return page


def _curves_figure(workspace: Workspace, query: Query, folder: Path) -> dict[str, Path]:
    """The learning curves; empty if no training is in this workspace."""
    curves = curves_of(workspace, query)
    if not curves:
        return {}
    path = save(curves_figure(curves), folder / "curves.png", query.is_synthetic)
    return {_CURVES_CAPTION: path}


def _case_figure(
    workspace: Workspace, query: Query, folder: Path, style: FigureStyle
) -> dict[str, Path]:
    """The figure of cases; empty if dataset or masks are not available here."""
    choice = choose(query, style.cases)
    if choice is None:
        return {}
    try:
        dataset = open_dataset(workspace, _dataset_of(workspace, choice))
    except (SweeperError, OSError, KeyError):
        return {}
    masks = {
        label: file
        for label, entry in choice.entries.items()
        if (file := _masks_file(workspace, entry.train_id, entry.eval_id)).is_file()
    }
    figure = qualitative_figure(choice, dataset, masks, width_cm=style.width_cm)
    path = save(figure, folder / "cases.png", query.is_synthetic)
    return {choice.caption: path}


def _curves(workspace: Workspace, train_id: str) -> dict[str, list[float]]:
    """The curves of a training, one value per epoch; empty if its folder is not here."""
    epochs = Ledger(workspace.trainings).folder(train_id).epochs()
    curves = {
        name: [math.nan if epoch.get(name) is None else float(epoch[name]) for epoch in epochs]
        for name in _CURVES
    }
    return {name: values for name, values in curves.items() if any(map(math.isfinite, values))}


def _dataset_of(workspace: Workspace, choice: Choice) -> str:
    """Name or path of the dataset, from the record of the training."""
    entry = next(iter(choice.entries.values()))
    description = Ledger(workspace.trainings).folder(entry.train_id).config()
    if description is None:
        raise StoreError(f"training {entry.train_id} is not in {workspace.trainings}")
    return str(description["config"]["dataset"])


def _masks_file(workspace: Workspace, train_id: str, eval_id: str) -> Path:
    return workspace.trainings / train_id / "evaluations" / eval_id / "masks.npz"


def _provenance(query: Query) -> dict[str, str]:
    """All tags about the origin of the results; different values are listed together."""
    hidden = ("mlflow.", "evaluation.", "failure.", "status", "train_id", "attempt", "kind")
    tags: dict[str, set[str]] = {}
    for entry in query.entries:
        for key, value in (entry.run.tags if entry.run is not None else {}).items():
            if value and not key.startswith(hidden) and key not in (CHECKSUM_TAG, ROWS_TAG):
                tags.setdefault(key, set()).add(value)
    return {key: ", ".join(sorted(values)) for key, values in sorted(tags.items())}
