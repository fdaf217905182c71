"""What stands behind the rows of a table: every case's value, and the curves of the trainings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sweeper.report.entries import Entry
    from sweeper.report.query import Query

    Curves = Mapping[str, Sequence[float]]
    CurvesOf = Callable[[str], Curves]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One scoring of a row.

    Attributes:
        source: Printed name of its source.
        seed: Its seed.
        structure: Segmented structure.
        train_id: Identity of the training.
        values: (target, case, structure) -> printed value; nan if undefined.
        curves: Name -> one value per epoch; empty if they are not on this machine.
    """

    source: str
    seed: str
    structure: str
    train_id: str
    values: Mapping[tuple[str, str, str], float]
    curves: Curves


@dataclass(frozen=True, slots=True, kw_only=True)
class RowDetails:
    """The trainings of a row.

    Attributes:
        label: Name of the row.
        cases: Cases of all of its trainings, by site and name.
        trainings: In the planned order; only finished ones.
    """

    label: str
    cases: tuple[tuple[str, str, str], ...]
    trainings: tuple[Training, ...]


def row_details(query: Query, curves_of: CurvesOf) -> tuple[RowDetails, ...]:
    """The details of every row.

    Args:
        query: The table's.
        curves_of: The curves of a training by its identity.
    """
    details = []
    for label, entries in query.rows.items():
        trainings = tuple(
            _training(query, entry, curves_of)
            for entry in entries
            if entry.measures(query.metric.name, query.spec.protocol)
        )
        order = {domain: i for i, domain in enumerate(query.domains)}
        cases = dict.fromkeys(case for training in trainings for case in training.values)
        ranked = sorted(cases, key=lambda case: (order.get(case[0], len(order)), *case))
        details.append(RowDetails(label=label, cases=tuple(ranked), trainings=trainings))
    return tuple(details)


def _training(query: Query, entry: Entry, curves_of: CurvesOf) -> Training:
    return Training(
        source=query.shown(entry.source),
        seed=entry.seed,
        structure=entry.structure,
        train_id=entry.train_id,
        values={
            (score.target, score.case, score.structure): query.metric.scale
            * score.values[query.metric.name]
            for score in entry.scores(query.spec.protocol)
        },
        curves=curves_of(entry.train_id),
    )
