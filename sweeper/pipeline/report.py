"""`sweeper report`: from MLflow to tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from sweeper.config.report import ReportSpec
from sweeper.config.yaml_reader import read_yaml
from sweeper.errors import ConfigError
from sweeper.report.build import build_tables
from sweeper.report.draft import refuse_drafts
from sweeper.report.query import make_query
from sweeper.tracking.mlflow_tracker import MlflowTracker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sweeper.report.query import Query
    from sweeper.report.table import ReportTable
    from sweeper.store.workspace import Workspace


def read_report_key(space: Path) -> tuple[str, ReportSpec]:
    """A search space's name and its `report:`.

    Raises:
        ConfigError: The file is no search space.
    """
    document = read_yaml(space)
    try:
        spec = ReportSpec.model_validate(document.value.get("report", {}))
        return str(document.value["name"]), spec
    except (KeyError, ValidationError) as err:
        what = "has no 'name'" if isinstance(err, KeyError) else f"report: {err.errors()[0]['msg']}"
        raise ConfigError(f"{space}: {what}; see search_spaces/ablation.yaml") from err


def query(
    workspace: Workspace, sweeps: Sequence[str] | None, spec: ReportSpec | None = None
) -> Query:
    """What a report is made of: some sweeps, or the latest one, under a spec or its own."""
    return make_query(MlflowTracker(workspace).results(sweeps), spec)


def tables(query: Query, *, is_final: bool = False) -> tuple[ReportTable, ...]:
    """The tables of a query.

    Raises:
        DraftError: A final table was asked for and this is a draft.
    """
    built = build_tables(query)
    if is_final:
        refuse_drafts(built)
    return built
