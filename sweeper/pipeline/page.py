"""The HTML page of a sweep with its figures, also logged in MLflow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sweeper.errors import SweeperError
from sweeper.pipeline.curves import curves_of
from sweeper.pipeline.data.named import open_dataset
from sweeper.pipeline.report import PAGE, SUFFIXES, side_tables
from sweeper.report.figures.curves import curves_figure
from sweeper.report.figures.plots import save, write_figures
from sweeper.report.figures.qualitative import choose, qualitative_figure
from sweeper.report.formats.html import Page, render_html
from sweeper.report.formats.long import render_long
from sweeper.report.formats.registry import RENDERERS, join
from sweeper.tracking.mlflow_tracker import MlflowTracker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sweeper.report.figures.qualitative import Choice
    from sweeper.report.query import Query
    from sweeper.report.table import ReportTable
    from sweeper.store.workspace import Workspace

_CAPTIONS = {
    "boxes": "Patients of each target site, averaged over sources and seeds.",
    "forest": "Differences from the baseline row with 95 % bootstrap intervals, over all patients"
    " and per target site.",
    "grid": "Average score against the number of prompt points, with its 95 % bootstrap band.",
    "matrix": "Source x target; the diagonal shows source validation.",
    "seeds": "Average score of each seed, one line per row; the bar is the mean over seeds.",
}

_CURVES = (
    "Learning curves, one line per training: training loss (dashed: validation loss) and Dice on"
    " the source's validation cases."
)


def make_page(workspace: Workspace, query: Query, tables: Sequence[ReportTable]) -> str:
    """The page as text; its figures are also written to the reports of the workspace."""
    folder = workspace.reports / query.name
    written = write_figures(query, folder)
    figures = {_CAPTIONS[name]: path for name, path in written.items()}
    figures.update(_curves_figure(workspace, query, folder))
    figures.update(_case_figure(workspace, query, folder))
    return render_html(
        Page(
            title=f"Sweep {query.name}",
            tables=tables,
            sides=side_tables(query, workspace, has_statistics=True, has_costs=True),
            figures=figures,
            provenance=_provenance(query),
        )
    )


def publish(workspace: Workspace, query: Query, tables: Sequence[ReportTable]) -> Path:
    """Write page, figures and tables, log them with the sweep's run, and return the page's path."""
    folder = workspace.reports / query.name
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / PAGE
    page.write_text(make_page(workspace, query, tables), encoding="utf-8")
    for name, render in RENDERERS.items():
        text = join(name, [render(table) for table in tables])
        (folder / f"table.{SUFFIXES[name]}").write_text(text, encoding="utf-8")
    (folder / "rows.csv").write_text(render_long(query), encoding="utf-8")
    files = {f"report/{file.name}": file for file in sorted(folder.iterdir()) if file.is_file()}
    note = "\n".join(map(RENDERERS["markdown"], tables))
    MlflowTracker(workspace).attach(query.results.sweeps[-1], files, note)
    return page


def _curves_figure(workspace: Workspace, query: Query, folder: Path) -> dict[str, Path]:
    """The learning curves; empty if no training is in this workspace."""
    curves = curves_of(workspace, query)
    if not curves:
        return {}
    path = save(curves_figure(curves), folder / "curves.png", query.is_synthetic)
    return {_CURVES: path}


def _case_figure(workspace: Workspace, query: Query, folder: Path) -> dict[str, Path]:
    """The figure of cases that a rule selects; empty if dataset or masks are not available here."""
    choice = choose(query)
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
    figure = qualitative_figure(choice, dataset, masks)
    path = save(figure, folder / "cases.png", query.is_synthetic)
    return {choice.caption: path}


def _dataset_of(workspace: Workspace, choice: Choice) -> str:
    """Name or path of the dataset, from the record of the training."""
    entry = next(iter(choice.entries.values()))
    record = workspace.trainings / entry.train_id / "config.json"
    return str(json.loads(record.read_text(encoding="utf-8"))["config"]["dataset"])


def _masks_file(workspace: Workspace, train_id: str, eval_id: str) -> Path:
    return workspace.trainings / train_id / "evaluations" / eval_id / "masks.npz"


def _provenance(query: Query) -> dict[str, str]:
    """All tags about the origin of the results; different values are listed together."""
    hidden = ("mlflow.", "evaluation.", "failure.", "status", "train_id", "attempt", "kind")
    tags: dict[str, set[str]] = {}
    for entry in query.entries:
        for key, value in (entry.run.tags if entry.run is not None else {}).items():
            if value and not key.startswith(hidden):
                tags.setdefault(key, set()).add(value)
    return {key: ", ".join(sorted(values)) for key, values in sorted(tags.items())}
