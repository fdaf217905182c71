"""`sweeper report`: queries results in MLflow and builds tables."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.config.sweep import load_sweep
from sweeper.report.build import build_tables
from sweeper.report.costs import cost_table
from sweeper.report.draft import refuse_drafts
from sweeper.report.formats.latex import fits, render_panels
from sweeper.report.formats.long import left_out_of_ranking, render_challenger, render_long
from sweeper.report.formats.text import render_csv, render_markdown
from sweeper.report.published_rows import bibliography
from sweeper.report.query import make_query, own_spec, spec_of
from sweeper.report.table import Origin
from sweeper.tracking.mlflow_tracker import MlflowTracker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeper.config.report import ReportSpec
    from sweeper.report.formats.latex import LatexStyle
    from sweeper.report.formats.plain_table import PlainTable
    from sweeper.report.query import Query
    from sweeper.report.table import ReportTable
    from sweeper.store.workspace import Workspace

PAGE = "report.html"
SUFFIXES = {"markdown": "md", "csv": "csv", "latex": "tex", "json": "json"}


def read_report_key(space: Path) -> tuple[str, ReportSpec | None]:
    """The name of a search space and its `report:`, if it has one.

    Raises:
        ConfigError: The file is not a search space.
    """
    spec = load_sweep(space).spec
    return spec.name, spec.report


def named_sweeps(spaces: Sequence[str]) -> tuple[list[str] | None, ReportSpec | None]:
    """Names of the sweeps, and `report:` of the last file; each of `spaces` is a file or a name.

    Raises:
        ConfigError: A file is not a search space.
    """
    names: list[str] = []
    spec = None
    for space in spaces:
        if space.endswith((".yaml", ".yml")) or Path(space).is_file():
            name, spec = read_report_key(Path(space))
            names.append(name)
        else:
            names.append(space)
    return (names or None), spec


def query(
    workspace: Workspace, sweeps: Sequence[str] | None, spec: ReportSpec | None = None
) -> Query:
    """The query of a report: the given sweeps or the latest one, with `spec` or the sweep's own."""
    return make_query(MlflowTracker(workspace).results(sweeps), spec)


def changed_query(
    workspace: Workspace,
    sweeps: Sequence[str] | None,
    spec: ReportSpec | None,
    changes: Mapping[str, Any],
) -> Query:
    """The query of a spec, overridden by all changes that are not None.

    If the changes remove the row of the spec's baseline, the query has no baseline.

    Raises:
        ConfigError: Neither the spec nor the changes define the columns.
    """
    results = MlflowTracker(workspace).results(sweeps)
    base = own_spec(results) if spec is None else spec.model_dump()
    overrides = {key: value for key, value in changes.items() if value not in (None, ())}
    changed = make_query(results, spec_of({**base, **overrides}))
    baseline = changed.spec.baseline or ""
    has_baseline = any(label.startswith(baseline) for label in changed.rows)
    if overrides.keys() & {"rows", "where"} and "baseline" not in overrides and not has_baseline:
        return make_query(results, changed.spec.model_copy(update={"baseline": None}))
    return changed


def log_tables(workspace: Workspace, query: Query, tables: Sequence[ReportTable]) -> None:
    """Log the tables as Markdown and CSV with the sweep's run, without page and figures."""
    with tempfile.TemporaryDirectory() as temporary:
        files = {}
        for suffix, render in (("md", render_markdown), ("csv", render_csv)):
            files[f"report/table.{suffix}"] = file = Path(temporary) / f"table.{suffix}"
            file.write_text("\n".join(map(render, tables)), encoding="utf-8")
        attach_report(workspace, query, tables, files)


def attach_report(
    workspace: Workspace, query: Query, tables: Sequence[ReportTable], files: Mapping[str, Path]
) -> None:
    """Log files of a report with the sweep's run, its tables as a note, and the last column.

    Args:
        workspace: The workspace.
        query: The query of the tables.
        tables: The tables.
        files: Name in the run -> file.
    """
    note = "\n".join(map(render_markdown, tables))
    prefix = f"overall {query.spec.metric}/{query.spec.protocol}"
    overall = {
        f"{prefix}/{row.label}": row.cells[-1].value
        for table in tables
        for row in table.rows
        if row.origin is not Origin.PUBLISHED
    }
    defined = {key: v for key, v in overall.items() if v is not None and math.isfinite(v)}
    MlflowTracker(workspace).attach(query.results.sweeps[-1], files, note, defined)


def is_published(query: Query, tables: Sequence[ReportTable]) -> bool:
    """True if MLflow already has the page of exactly these tables."""
    folder = query.results.sweeps[-1].artifacts / "report"
    table = folder / f"table.{SUFFIXES['markdown']}"
    text = "\n".join(map(render_markdown, tables))
    is_same = table.is_file() and table.read_text(encoding="utf-8") == text
    return is_same and (folder / PAGE).is_file()


@dataclass(frozen=True, slots=True, kw_only=True)
class LatexFiles:
    """Tables for a paper.

    Attributes:
        text: The tables.
        bibliography: BibTeX entries that they cite; may be empty.
        supplement: Tables with their full captions in Markdown, where the captions are short.
        warnings: What does not fit.
    """

    text: str
    bibliography: str
    supplement: str
    warnings: tuple[str, ...]

    def beside(self, path: Path) -> dict[Path, str]:
        """Files that belong beside the tables' file."""
        files = {
            path.with_suffix(".bib"): self.bibliography,
            path.with_name(f"{path.stem}-supplement.md"): self.supplement,
        }
        return {file: text for file, text in files.items() if text}


def latex_files(by_metric: Sequence[Sequence[ReportTable]], style: LatexStyle) -> LatexFiles:
    """Tables of one or more metrics, those of the same cells one below the other in one table.

    Args:
        by_metric: By metric the tables of its query.
        style: How they are set.

    Raises:
        ConfigError: A column to be left out is not in a table.
    """
    texts, warnings = [], []
    for position, panels in enumerate(zip(*by_metric, strict=True), start=1):
        is_first = position == 1 or not style.label
        label = style.label if is_first else f"{style.label}-{position}"
        texts.append(render_panels(panels, replace(style, label=label)))
        width_cm = fits(panels, style)
        if width_cm is not None:
            warnings.append(
                f"table {panels[0].name} needs about {width_cm:.1f} cm at 7 pt, but has"
                f" {style.width_cm:g} cm; use --width 17.4cm, --digits 1, or --drop delta, spread"
                " or a column"
            )
    every = [table for tables in by_metric for table in tables]
    return LatexFiles(
        text="\n".join(texts),
        bibliography=bibliography(row for table in every for row in table.rows),
        supplement="\n".join(map(render_markdown, every)) if style.is_short else "",
        warnings=tuple(warnings),
    )


def rows_text(query: Query, format_: str) -> tuple[str, tuple[str, ...]]:
    """All values of a query as CSV, and which rows are not in it.

    Args:
        query: The query.
        format_: `long`, or `challenger`, which leaves out rows that may not be ranked.
    """
    if format_ == "challenger":
        return render_challenger(query), left_out_of_ranking(query)
    return render_long(query), ()


def side_tables(
    query: Query, workspace: Workspace, *, has_statistics: bool, has_costs: bool
) -> list[PlainTable]:
    """The additional tables below the main one."""
    side = []
    if has_statistics:
        from sweeper.report.statistics.comparison import (
            table_statistics,  # scipy.stats costs a second
        )
        from sweeper.report.statistics.table import statistics_table

        side.append(statistics_table(table_statistics(query), query.name, query.digits))
    if has_costs:
        folders = {
            "datasets": workspace.datasets,
            "embeddings": workspace.embeddings,
            "trainings": workspace.trainings,
        }
        side.append(cost_table(query, folders))
    return side


def tables(query: Query, *, is_final: bool = False) -> tuple[ReportTable, ...]:
    """The tables of a query.

    Raises:
        DraftError: A final table was requested, but this one is a draft.
    """
    built = build_tables(query)
    if is_final:
        refuse_drafts(built)
    return built
