"""A run's costs: predicted before it begins, counted when it has ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sweeper.pipeline.costs.estimate import estimate
from sweeper.pipeline.costs.forecast import (
    Actual,
    Prediction,
    actual,
    has_ended,
    predict,
    remember,
)
from sweeper.pipeline.plan import PlanReport, assess
from sweeper.plan.states import Cell, State
from sweeper.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeper.config.sweep import Sweep
    from sweeper.pipeline.data.sources import DataSource
    from sweeper.pipeline.display import Display
    from sweeper.pipeline.searching.studies import OpenStudy
    from sweeper.store.workspace import Workspace

_WORTH_A_PROBE = 4
"""Below so many trainings, importing torch for a probe may take longer than the trainings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a run was predicted to cost when it began.

    Attributes:
        workspace: Where the run is.
        report: The plan with its prediction.
        searched_before: Trainings of searches that were there already.
        began: When, by a clock that only goes forward.
    """

    workspace: Workspace
    report: PlanReport
    searched_before: frozenset[str]
    began: float

    @classmethod
    def begin(
        cls,
        workspace: Workspace,
        sweep: Sweep,
        source: DataSource,
        display: Display,
        *,
        probes: bool,
    ) -> Costs:
        """Predict what a run will cost; see `assess`."""
        report = assess(
            workspace, sweep, source, display, probes=probes, probes_from=_WORTH_A_PROBE
        )
        ledger = Ledger(workspace.trainings)
        before = {
            cell.training.train_id
            for one in report.studies
            for cell in one.cells(ledger)
            if cell.state in (State.DONE, State.PRUNED)
        }
        return cls(
            workspace=workspace,
            report=report,
            searched_before=frozenset(before),
            began=time.monotonic(),
        )

    def end(self, todo: Sequence[Cell], studies: Sequence[OpenStudy]) -> tuple[Prediction, Actual]:
        """What was predicted and what it did cost; remembered, unless a search decided the amount.

        Of a run that did not end all that it had to do, both are about what it did end.

        Args:
            todo: What the run had to do for the table.
            studies: Its searches.
        """
        ledger = Ledger(self.workspace.trainings)
        searched = [
            replace(cell, is_trained=False)
            for one in studies
            for cell in one.cells(ledger)
            if cell.training.train_id not in self.searched_before
        ]
        ended = [cell for cell in (*searched, *todo) if has_ended(cell, ledger)]
        came = actual(ended, ledger, time.monotonic() - self.began)
        if not searched:
            remember(self.workspace, self.report.prediction, came)
        return self._predicted(ended), came

    def _predicted(self, ended: Sequence[Cell]) -> Prediction:
        """The prediction of what has ended, from the paces that the whole was predicted from."""
        report = self.report
        if len(ended) >= report.prediction.trainings:
            return report.prediction
        cost = estimate(ended, report.paces)
        return predict(self.workspace, cost, len(ended), report.devices)
