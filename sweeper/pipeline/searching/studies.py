"""Searches as the workspace knows them: which cells look for values, what they tried, what won."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sweeper.config.search_algorithm import corners
from sweeper.config.sweep import trial_config, with_seeds
from sweeper.pipeline.searching.winners import front, rule_text, winner
from sweeper.plan.expand import Plan, Training, make_plan
from sweeper.plan.identity import short_hash, training_identity
from sweeper.plan.states import Cell, cells_of
from sweeper.records import ENDED, TrialStatus
from sweeper.store.ledger import Ledger, read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from sweeper.config.search_algorithm import Study
    from sweeper.config.sweep import Sweep
    from sweeper.config.trial import TrialConfig
    from sweeper.plan.identity import DataFacts
    from sweeper.store.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStudy:
    """A study with what it reads and where its record lies.

    Attributes:
        study: As the search space states it.
        study_id: 12 hex digits over ranges, way of looking, data and code; not over the number of
            samples, so that more samples extend it.
        path: Its record.
        example: Training of its first values: method, source, structure and data are those of all.
        sweep: The space.
        facts: What a trial reads.
    """

    study: Study
    study_id: str
    path: Path
    example: Training
    sweep: Sweep
    facts: Callable[[TrialConfig], DataFacts]

    @property
    def method(self) -> str:
        """Name of the method's row."""
        return self.example.config.method.label()

    @property
    def name(self) -> str:
        """Name of the cell, such as `desam full prostate A-ISBI`."""
        return self.example.config.name().rsplit(" seed ", 1)[0]

    @property
    def epochs(self) -> int:
        """Epochs of a whole training."""
        return self.example.config.training.epochs

    @property
    def budget(self) -> int:
        """Trainings that it may try."""
        if self.study.search.algorithm == "grid":
            return sum(1 for _ in self.study.every_point())
        return self.study.search.samples

    def training(self, values: Mapping[str, Any]) -> Training:
        """The training of a trial's values, without any scoring: a search sees no target."""
        config = trial_config(dict(values), self.sweep.document, self.study.origin)
        (training,) = make_plan(self.sweep.spec.name, [config], self.facts).trainings
        return replace(training, evaluations=())

    def record(self) -> Mapping[str, Any] | None:
        """What was tried so far; None before the first training ended."""
        found: Mapping[str, Any] | None = read_json(self.path)
        return found

    def is_searched(self, ledger: Ledger) -> bool:
        """True if the record is of all samples, and no failed training waits to be tried again."""
        record = self.record()
        return (
            record is not None
            and record["is_finished"]
            and record["budget"] == self.budget
            and all(
                ledger.folder(one["train_id"]).failure() is not None
                for one in record["tried"]
                if one["state"] == TrialStatus.FAILED
            )
        )

    def winning_trials(self) -> list[TrialConfig]:
        """The trials that the winner stands for: every seed, every scoring; none before it won."""
        record = self.record()
        if record is None or record["winner"] is None:
            return []
        values = record["winner"]["config"]
        return [
            trial_config(seeded, self.sweep.document, self.study.origin)
            for served in self.study.served(values)
            for seeded in with_seeds(served, self.sweep.spec.seeds)
        ]

    def chosen(self) -> Plan:
        """Trainings and evaluations of `winning_trials`."""
        return make_plan(self.sweep.spec.name, self.winning_trials(), self.facts)

    def expected(self) -> list[Training]:
        """Trainings like those that the winner will stand for, to count and to estimate by."""
        first = next(corners(self.study.tree))
        trials = [
            trial_config(seeded, self.sweep.document, self.study.origin)
            for served in self.study.served(first)
            for seeded in with_seeds(served, self.sweep.spec.seeds)
        ]
        return list(make_plan(self.sweep.spec.name, trials, self.facts).trainings)

    def cells(self, ledger: Ledger) -> list[Cell]:
        """Where each training stands that was tried so far."""
        return cells_of(Plan(sweep=self.sweep.spec.name, trainings=tuple(self.tried())), ledger)

    def tried(self) -> list[Training]:
        """Every training tried so far."""
        record = self.record() or {"tried": []}
        return [self.training(one["config"]) for one in record["tried"]]

    def write(self, tried: Sequence[Mapping[str, Any]], *, is_finished: bool) -> None:
        """Keep what was tried, and once it is over what won."""
        search = self.study.search
        write_json(
            self.path,
            {
                "study_id": self.study_id,
                "name": self.name,
                "method": self.method,
                "source": self.example.config.source,
                "structure": self.example.config.structure,
                "rule": rule_text(search),
                "metric": list(search.metric),
                "budget": self.budget,
                "epochs": self.epochs,
                "epochs_spent": sum(one["epochs"] - one["first_epoch"] for one in tried),
                "is_finished": is_finished,
                "tried": list(tried),
                "front": [one["train_id"] for one in front(search, tried)],
                "winner": winner(search, tried) if is_finished else None,
            },
        )


def open_studies(
    workspace: Workspace, sweep: Sweep, facts: Callable[[TrialConfig], DataFacts]
) -> list[OpenStudy]:
    """Every study of a space, in the order written."""
    found = []
    for study in sweep.studies:
        first = next(iter(study.served(next(corners(study.tree)))))
        config = trial_config(first, sweep.document, study.origin)
        (example,) = make_plan(sweep.spec.name, [config], facts).trainings
        study_id = _study_id(study, example)
        found.append(
            OpenStudy(
                study=study,
                study_id=study_id,
                path=workspace.sweeps / sweep.spec.name / "searches" / f"{study_id}.json",
                example=replace(example, evaluations=()),
                sweep=sweep,
                facts=facts,
            )
        )
    return found


def _study_id(study: Study, example: Training) -> str:
    search = study.search
    kept = {"algorithm", "scheduler", "metric", "seed"}
    kept |= {"asha": {"grace_epochs", "reduction"}, "hyperband": {"grace_epochs", "reduction"}}.get(
        search.scheduler, set()
    )
    kept |= {"median": {"grace_epochs"}, "pbt": {"interval", "samples"}}.get(
        search.scheduler, set()
    )
    return short_hash(
        {
            "ranges": [[list(one.path), one.kind, list(one.values)] for one in study.ranges],
            "search": search.model_dump(mode="json", include=kept),
            "first": training_identity(example.config, example.data),
        }
    )


def selection_tags(studies: Sequence[OpenStudy], plan: Plan) -> dict[str, dict[str, str]]:
    """For each training of the table that a search chose: by what rule, of how many."""
    tags: dict[str, dict[str, str]] = {}
    trained = {training.train_id for training in plan.trainings}
    for one in studies:
        record = one.record()
        if record is None or record["winner"] is None:
            continue
        own = {
            "selection.study": one.study_id,
            "selection.rule": record["rule"],
            "selection.tried": str(len(record["tried"])),
            "selection.winner": record["winner"]["train_id"],
        }
        tags.update({t.train_id: own for t in one.chosen().trainings if t.train_id in trained})
    return tags


def summaries(studies: Sequence[OpenStudy]) -> list[dict[str, Any]]:
    """What the tracker keeps of each search with the plan."""
    keys = ("study_id", "method", "source", "structure", "rule", "budget", "epochs", "epochs_spent")
    found = []
    for one in studies:
        record = one.record()
        if record is None:
            continue
        states = [tried["state"] for tried in record["tried"]]
        won = record["winner"]
        found.append(
            {
                **{key: record[key] for key in keys},
                **{status.value: states.count(status) for status in ENDED},
                "trainings": [t.train_id for t in one.chosen().trainings],
                "winner": won and {k: won[k] for k in ("train_id", "values", "objectives")},
            }
        )
    return found


def searched_cells(studies: Sequence[OpenStudy], ledger: Ledger) -> list[Cell]:
    """Where every training of the searches stands; those that were not begun have no cell."""
    return [cell for one in studies for cell in one.cells(ledger)]
