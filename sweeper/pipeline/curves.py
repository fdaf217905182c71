"""`sweeper curves`: how the trainings of a table learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweeper.errors import DataError
from sweeper.report.figures.curves import curves_figure
from sweeper.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from sweeper.report.query import Query
    from sweeper.store.workspace import Workspace


def curves_of(workspace: Workspace, query: Query) -> dict[str, dict[str, list[Any]]]:
    """Printed source -> row -> the epochs of each of its trainings that the workspace's ledger has.

    Several scorings of one training are one curve, under the row of the first.
    """
    ledger = Ledger(workspace.trainings)
    curves: dict[str, dict[str, list[Any]]] = {}
    seen: set[str] = set()
    for entry in query.entries:
        if entry.train_id in seen or entry.is_imported:
            continue
        seen.add(entry.train_id)
        epochs: list[Mapping[str, Any]] = ledger.folder(entry.train_id).epochs()
        if epochs:
            curves.setdefault(query.shown(entry.source), {}).setdefault(entry.label, []).append(
                epochs
            )
    return curves


def draw_curves(workspace: Workspace, query: Query) -> Figure:
    """The figure of all trainings of a table.

    Raises:
        DataError: None of them is finished in this workspace.
    """
    curves = curves_of(workspace, query)
    if not curves:
        raise DataError(
            f"no training of {query.name} has finished in {workspace.root}, so there are no curves;"
            " run it with `sweeper run SPACE`"
        )
    return curves_figure(curves)
