"""A plan as the table that it will fill: rows and columns as in the report, a count per cell."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeper.config.report import ReportSpec
from sweeper.plan.expand import evaluation_settings, parameters
from sweeper.plan.states import State
from sweeper.report.entries import Entry, label_rows
from sweeper.report.measurements import column_of, planned_pairs
from sweeper.report.query import Query
from sweeper.tracking.tracker import TrackedResults

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeper.plan.states import Cell

_DEFAULT = ReportSpec(columns="source")
_SHOWN = (State.RUNNING, State.FAILED, State.PRUNED, State.LOST, State.STALE)
"""States that a cell names; what is neither done nor named is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanMatrix:
    """The planned evaluations, counted by the table's rows and columns.

    Attributes:
        row_header: The keys that distinguish rows, such as `method`.
        direction: What a column is: `source`, `target`, `structure` or `by_structure`.
        columns: Printed names of the columns; domains come first, in the order of the dataset.
        counts: Row -> column -> number of evaluations in each state.
    """

    row_header: str
    direction: str
    columns: tuple[str, ...]
    counts: dict[str, dict[str, Counter[State]]]

    def text(self, row: str, column: str) -> str:
        """A cell such as `1/3`, finished of planned, or `0/3 (1 failed)`; empty if none."""
        counts = self.counts[row].get(column)
        if counts is None:
            return ""
        others = ", ".join(f"{counts[state]} {state}" for state in _SHOWN if counts[state])
        share = f"{counts[State.DONE]}/{counts.total()}"
        return f"{share} ({others})" if others else share


def plan_matrix(
    cells: Sequence[Cell], spec: ReportSpec | None, domains: Sequence[str]
) -> PlanMatrix:
    """The matrix of planned trainings; each counts once for every evaluation of a cell.

    Args:
        cells: The trainings with their states.
        spec: The space's report; None for methods x sources. A matrix of source x target has
            one column per source here, because a training is tested on all targets together.
        domains: All domains of the dataset, in order.

    Raises:
        ConfigError: The report's `rows` are a key that no trial has.
    """
    chosen = spec or _DEFAULT
    if chosen.columns == "matrix":
        chosen = chosen.model_copy(update={"columns": "source"})
    entries, states = [], []
    for cell in cells:
        for evaluation in cell.training.evaluations:
            entries.append(_entry(cell, evaluation.eval_id))
            is_done = cell.is_trained and evaluation.eval_id not in cell.missing
            states.append(State.DONE if is_done else cell.state)
    labelled = label_rows(entries, chosen.rows, chosen.columns)
    query = Query(
        spec=chosen,
        name="",
        domains=tuple(domains),
        planned=labelled,
        entries=labelled,
        results=TrackedResults(sweeps=(), runs=(), others=()),
    )
    counts: dict[str, dict[str, Counter[State]]] = {}
    for entry, state in zip(labelled, states, strict=True):
        row = counts.setdefault(chosen.names.get(entry.label, entry.label), {})
        pairs = planned_pairs(entry, domains, query.sources)
        for column in dict.fromkeys(column_of(chosen, entry, *pair) for pair in pairs):
            if column:
                row.setdefault(query.shown(column), Counter())[state] += 1
    order = {query.shown(domain): place for place, domain in enumerate(domains)}
    named = dict.fromkeys(column for row in counts.values() for column in row)
    return PlanMatrix(
        row_header=chosen.rows,
        direction=chosen.columns,
        columns=tuple(sorted(named, key=lambda name: order.get(name, len(order)))),
        counts=counts,
    )


def _entry(cell: Cell, eval_id: str) -> Entry:
    (config,) = (e.config for e in cell.training.evaluations if e.eval_id == eval_id)
    return Entry(
        train_id=cell.training.train_id,
        eval_id=eval_id,
        values={**parameters(cell.training.config), **evaluation_settings(config)},
        run=None,
        status=None,
    )
