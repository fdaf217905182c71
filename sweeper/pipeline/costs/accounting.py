"""Costs of a run: predicted before it starts, and measured when it has ended."""

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
    record_costs,
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

_MIN_TRAININGS_TO_PROBE = 4
"""With fewer trainings, importing torch for a probe may take longer than the trainings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """The predicted costs of a run, and its start time.

    Attributes:
        workspace: The workspace.
        report: The plan with its prediction.
        searched_before: Search trainings that were finished before the run.
        began: Start time on the monotonic clock.
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
        """Predict the costs of a run; see `assess`."""
        report = assess(
            workspace, sweep, source, display, probes=probes, probes_from=_MIN_TRAININGS_TO_PROBE
        )
        ledger = Ledger(workspace.trainings)
        before = {
            cell.training.train_id
            for study in report.studies
            for cell in study.cells(ledger)
            if cell.state in (State.DONE, State.PRUNED)
        }
        return cls(
            workspace=workspace,
            report=report,
            searched_before=frozenset(before),
            began=time.monotonic(),
        )

    def end(self, todo: Sequence[Cell], studies: Sequence[OpenStudy]) -> tuple[Prediction, Actual]:
        """Predicted and actual costs of the run.

        If the run did not finish everything, both are for the finished part. The pair is recorded
        for later predictions, unless the run had a search, whose amount of work varies.

        Args:
            todo: Missing cells of the table when the run started.
            studies: Searches of the run.
        """
        ledger = Ledger(self.workspace.trainings)
        searched = [
            replace(cell, is_trained=False)
            for study in studies
            for cell in study.cells(ledger)
            if cell.training.train_id not in self.searched_before
        ]
        ended = [cell for cell in (*searched, *todo) if has_ended(cell, ledger)]
        measured = actual(ended, ledger, time.monotonic() - self.began)
        if not searched:
            record_costs(self.workspace, self.report.prediction, measured)
        return self._predicted(ended), measured

    def _predicted(self, ended: Sequence[Cell]) -> Prediction:
        """The prediction for the finished part, from the same paces as that for the whole run."""
        report = self.report
        if len(ended) >= report.prediction.trainings:
            return report.prediction
        cost = estimate(ended, report.paces, report.continued_epochs)
        return predict(self.workspace, cost, len(ended), report.devices)
