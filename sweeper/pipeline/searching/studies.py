"""Searches as the workspace knows them: which cells are searched, what they tried, what won."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sweeper.config.search_algorithm import corners
from sweeper.config.sweep import trial_config, with_seeds
from sweeper.pipeline.searching.records import StudyDatabase, StudyRecord, read_former
from sweeper.plan.expand import Plan, Training, make_plan
from sweeper.plan.identity import short_hash, training_identity
from sweeper.plan.states import Cell, cells_of
from sweeper.records import ENDED, TrialStatus
from sweeper.search.winner import rule_text, winner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from sweeper.config.search_algorithm import Study
    from sweeper.config.sweep import Sweep
    from sweeper.config.trial import TrialConfig
    from sweeper.plan.identity import DataFacts
    from sweeper.search.study import CellStudy, SearchCell, Tried
    from sweeper.store.ledger import Ledger
    from sweeper.store.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStudy:
    """A study with what it reads and where its record lies.

    Attributes:
        study: As the search space states it.
        study_id: 12 hex digits over ranges, way of looking, data and code; not over the number of
            samples, so that more samples extend it.
        database: Holds Optuna's study.
        former_path: Where a former version kept its record.
        example: Training of its first values: method, source, structure and data are those of all.
        sweep: The space.
        facts: What a trial reads.
    """

    study: Study
    study_id: str
    database: StudyDatabase
    former_path: Path
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
        return self.study.budget

    def training(self, values: Mapping[str, Any]) -> Training:
        """The training of a trial's values, without any scoring: a search sees no target."""
        config = trial_config(dict(values), self.sweep.document, self.study.origin)
        (training,) = make_plan(self.sweep.spec.name, [config], self.facts).trainings
        return replace(training, evaluations=())

    @property
    def cell(self) -> SearchCell:
        """The cell as Optuna's study names it."""
        from sweeper.search.study import SearchCell  # costs 1 s, and most spaces search nothing

        config, dataset = self.example.config, self.example.data.name
        attributes = {"method": self.method, "source": config.source, "dataset": dataset}
        if len(self.example.data.structures) > 1:
            attributes["structure"] = str(config.structure)
        described = ", ".join(f"{key} {value}" for key, value in attributes.items())
        return SearchCell(
            name=f"{self.sweep.spec.name}: {described.removeprefix('method ')} [{self.study_id}]",
            study=self.study,
            epochs=self.epochs,
            budget=self.budget,
            attributes=attributes,
        )

    def open(self, ledger: Ledger) -> CellStudy:
        """Optuna's study, to be run; what `sweeper retry` forgot as failed is tried again."""
        from sweeper.search.study import CellStudy

        study = CellStudy.create(self.cell, self.database.open())
        for tried in study.tried():
            if _is_forgotten(tried, ledger):
                study.retry(tried.number)
        return study

    def record(self) -> StudyRecord | None:
        """What was tried so far; None before the search began."""
        from sweeper.search.study import CellStudy

        study = CellStudy.load(self.cell, self.database.open()) if self.database.exists() else None
        if study is None:
            return read_former(self.former_path, self.budget)
        tried, is_finished = study.tried(), study.is_finished
        chosen = winner(self.study.search, tried) if is_finished else None
        return StudyRecord(tried=tried, is_finished=is_finished, winner=chosen)

    def is_searched(self, ledger: Ledger) -> bool:
        """True if all was tried, and no failed training waits to be tried again."""
        record = self.record()
        return (
            record is not None
            and record.is_finished
            and not any(_is_forgotten(tried, ledger) for tried in record.tried)
        )

    def winning_trials(self) -> list[TrialConfig]:
        """The trials that the winner stands for: every seed, every scoring; none before it won."""
        record = self.record()
        if record is None or record.winner is None:
            return []
        return [
            trial_config(seeded, self.sweep.document, self.study.origin)
            for served in self.study.served(record.winner.values)
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
        record = self.record()
        return [] if record is None else [self.training(tried.values) for tried in record.tried]


def _is_forgotten(tried: Tried, ledger: Ledger) -> bool:
    """True if a training failed in the search, and `sweeper retry` has removed its failure."""
    is_failed = tried.status is TrialStatus.FAILED
    return is_failed and ledger.folder(tried.train_id).failure() is None


def open_studies(
    workspace: Workspace, sweep: Sweep, facts: Callable[[TrialConfig], DataFacts]
) -> list[OpenStudy]:
    """Every study of a space, in the order written."""
    place = workspace.sweeps / sweep.spec.name
    database = StudyDatabase(place / "optuna.db")
    studies: dict[str, OpenStudy] = {}
    for study in sweep.studies:
        config = first_trial(sweep, study)
        for example in make_plan(sweep.spec.name, [config], facts).trainings:
            study_id = _study_id(study, example)
            source = example.config.source  # an axis over the domains is one study per source
            studies[study_id] = OpenStudy(
                study=replace(study, tree={**study.tree, "source": source}),
                study_id=study_id,
                database=database,
                former_path=place / "searches" / f"{study_id}.json",
                example=replace(example, evaluations=()),
                sweep=sweep,
                facts=facts,
            )
    return list(studies.values())


def first_trial(sweep: Sweep, study: Study) -> TrialConfig:
    """The trial of a study's first values, whose source may be an axis over the domains."""
    first = next(iter(study.served(next(corners(study.tree)))))
    return trial_config(first, sweep.document, study.origin)


def _study_id(study: Study, example: Training) -> str:
    search = study.search
    kept = {"algorithm", "scheduler", "metric", "seed"}
    kept |= {"asha": {"grace_epochs", "reduction"}, "hyperband": {"grace_epochs", "reduction"}}.get(
        search.scheduler, set()
    )
    kept |= {"grace_epochs"} if search.scheduler == "median" else set()
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
    for study in studies:
        record = study.record()
        if record is None or record.winner is None:
            continue
        selection = {
            "stage": "table",
            "selection.study": study.study_id,
            "selection.rule": rule_text(study.study.search),
            "selection.tried": str(len(record.tried)),
            "selection.winner": record.winner.train_id,
        }
        chosen = {training.train_id for training in study.chosen().trainings}
        tags.update(dict.fromkeys(chosen & trained, selection))
    return tags


def summaries(studies: Sequence[OpenStudy]) -> list[dict[str, Any]]:
    """What the tracker keeps of each search with the plan."""
    kept = []
    for study in studies:
        record = study.record()
        if record is None:
            continue
        statuses = [tried.status for tried in record.tried]
        won = record.winner
        kept.append(
            {
                "study_id": study.study_id,
                "method": study.method,
                "source": study.example.config.source,
                "structure": study.example.config.structure,
                "rule": rule_text(study.study.search),
                "budget": study.budget,
                "epochs": study.epochs,
                "epochs_spent": record.epochs_spent,
                **{status.value: statuses.count(status) for status in ENDED},
                "trainings": [t.train_id for t in study.chosen().trainings],
                "winner": won
                and {
                    "train_id": won.train_id,
                    "values": dict(won.params),
                    "objectives": list(won.objectives or ()),
                },
            }
        )
    return kept


def searched_cells(studies: Sequence[OpenStudy], ledger: Ledger) -> list[Cell]:
    """Where every training of the searches stands; those that have not started have no cell."""
    return [cell for study in studies for cell in study.cells(ledger)]
