"""The first stage of a run with a search: look for values by the source alone, then choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from sweeper.pipeline.running.listen import SweepListener
from sweeper.pipeline.running.record import name_of_sweep
from sweeper.pipeline.running.train import train
from sweeper.pipeline.searching.source import SearchSource
from sweeper.pipeline.searching.studies import open_studies
from sweeper.pipeline.searching.study_text import budget_lines, former_lines, outcome_lines
from sweeper.plan.expand import make_plan
from sweeper.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweeper.config.sweep import Sweep
    from sweeper.config.trial import TrialConfig
    from sweeper.pipeline.display import Display
    from sweeper.pipeline.searching.studies import OpenStudy
    from sweeper.plan.expand import Training
    from sweeper.plan.identity import DataFacts
    from sweeper.store.workspace import Workspace
    from sweeper.tracking.tracker import Tracker


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """How the searches of a space stand.

    Attributes:
        name: Name under which the sweep is tracked.
        studies: All of them.
        trials: What won, with every seed and scoring.
        signal: Number of the signal that ended the search early; 0 if none.
        ran: True if trainings were run for it now.
    """

    name: str
    studies: tuple[OpenStudy, ...]
    trials: tuple[TrialConfig, ...]
    signal: int = 0
    ran: bool = False


def search(
    workspace: Workspace,
    sweep: Sweep,
    facts: Callable[[TrialConfig], DataFacts],
    tracker: Tracker,
    display: Display,
    address: str | None,
    on_failure: Callable[[str, str], None] = lambda _, __: None,
    on_lost: Callable[[str], NoReturn] | None = None,
) -> Searched:
    """Run the searches that are not finished; nothing of a target is read by them.

    `on_failure` is called with the name and the note of each final failure, `on_lost` with the name
    of a local Ray process that has died.
    """
    studies = open_studies(workspace, sweep, facts)
    named = make_plan(sweep.spec.name, sweep.trials, facts).trainings
    name = name_of_sweep(sweep.spec.name, (*named, *(study.example for study in studies)))
    ledger = Ledger(workspace.trainings)
    left = [study for study in studies if not study.is_searched(ledger)]
    for line in (*budget_lines(sweep, studies), *former_lines(left)) if studies else ():
        display.say(line)
    signal = 0
    if left:
        source = SearchSource(left, ledger)
        listener = SweepListener(name, source, ledger, tracker, display)
        listener.on_failure = on_failure
        listener.close()  # what a killed driver left open
        source.keep = _keeper(listener, tracker.logged(name))
        signal = train(
            workspace,
            source,
            [study.example for study in left for _ in range(study.budget)],
            listener,
            display,
            resources=sweep.spec.resources,
            address=address,
            on_lost=on_lost,
        )
    if not signal:
        for line in outcome_lines(studies):
            display.say(line)
    return Searched(
        name=name,
        studies=tuple(studies),
        trials=tuple(trial for study in studies for trial in study.winning_trials()),
        signal=signal,
        ran=bool(left),
    )


def _keeper(listener: SweepListener, logged: dict[str, set[str]]) -> Callable[[Training], None]:
    """Logs trainings that had ended before the search asked for them, unless MLflow has them."""

    def keep(training: Training) -> None:
        if training.train_id not in logged:
            listener.keep(training)

    return keep
