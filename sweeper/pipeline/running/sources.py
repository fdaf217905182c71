"""Where a run's trainings come from: the plan of a table here, a search elsewhere."""

from __future__ import annotations

from collections import deque
from statistics import fmean
from typing import TYPE_CHECKING, Any, Protocol

from desam_model.scoring.metric_table import MAIN
from desam_model.scoring.protocol_table import RELEASED
from desam_model.types import Decision
from sweeper.config.sources import domains_in
from sweeper.records import TrialStatus, is_in_domain_test

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sweeper.plan.expand import Training
    from sweeper.store.ledger import Ledger, TrainingFolder


class TrainingSource(Protocol):
    """Hands out trainings, and is notified of how they end."""

    def next_training(self) -> Training | None:
        """A training to run; None if there is none left."""

    def name(self, training: Training) -> str:
        """The training's name for people."""

    def tags(self, training: Training) -> Mapping[str, str]:
        """Why the training is run, as tags of its run in MLflow."""

    def on_epoch(self, training: Training, epoch: Mapping[str, Any]) -> Decision:
        """An epoch has ended; `STOP` stops the training."""

    def on_end(self, training: Training, status: TrialStatus) -> str:
        """The training has ended for good; a note on it for people."""


class PlannedTrainings:
    """The trainings of a table's cells, in the order planned; none is stopped before its end.

    Args:
        trainings: Those to run.
        ledger: Holds their scores.
        tags: By train_id, such as the rule by which a search chose the training.
    """

    def __init__(
        self,
        trainings: Iterable[Training],
        ledger: Ledger,
        tags: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._left, self._ledger, self._tags = deque(trainings), ledger, tags or {}

    def next_training(self) -> Training | None:
        """See `TrainingSource`."""
        return self._left.popleft() if self._left else None

    def name(self, training: Training) -> str:
        """See `TrainingSource`."""
        return training.config.name()

    def tags(self, training: Training) -> Mapping[str, str]:
        """See `TrainingSource`."""
        return self._tags.get(training.train_id, {})

    def on_epoch(self, training: Training, epoch: Mapping[str, Any]) -> Decision:
        """See `TrainingSource`."""
        return Decision.CONTINUE

    def on_end(self, training: Training, status: TrialStatus) -> str:
        """See `TrainingSource`."""
        if status is not TrialStatus.COMPLETED:
            return ""
        return score_note(self._ledger.folder(training.train_id), training)


def score_note(folder: TrainingFolder, training: Training) -> str:
    """Mean over the target cases under the released protocol, for the person who waits."""
    scored = folder.evaluation(training.evaluations[0].eval_id) or {"scores": []}
    values = [
        score["values"][MAIN.name]
        for score in scored["scores"]
        if score["protocol"] == RELEASED.name
        and score["domain"] not in domains_in(training.config.source)
        and not is_in_domain_test(score["domain"])
    ]
    if not values:
        return ""
    note = f"target {MAIN.symbol} {MAIN.scale * fmean(values):.1f}"
    n_empty, n_slices = scored.get("n_empty_slices", 0), scored.get("n_slices", 0)
    # a Dice near zero means two things: masks in the wrong place, or no masks at all
    return f"{note}; no mask in {n_empty} of {n_slices} slices" if 2 * n_empty > n_slices else note
