"""A search, what it keeps, and what of it a table may show: without Ray, with a real MLflow."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
import pytest
import toy_search as toy

from desam_model.types import Decision
from sweeper.config.report import ReportSpec
from sweeper.config.sweep import Sweep, check_sweep
from sweeper.config.yaml_reader import parse_yaml
from sweeper.engine.ray_tune import Interrupt
from sweeper.errors import DraftError, StoreError
from sweeper.pipeline import report as reporting
from sweeper.pipeline.display import Silent
from sweeper.pipeline.page import make_page
from sweeper.pipeline.run import tracked_plan
from sweeper.pipeline.running.listen import SweepListener
from sweeper.pipeline.running.record import training_record
from sweeper.pipeline.running.sources import PlannedTrainings
from sweeper.pipeline.searching import search as searching
from sweeper.pipeline.searching.studies import open_studies, searched_cells, selection_tags
from sweeper.pipeline.searching.study_text import budget_lines, outcome_lines
from sweeper.plan.expand import make_plan
from sweeper.plan.identity import DataFacts
from sweeper.plan.job import TrainingJob
from sweeper.plan.states import State
from sweeper.records import FailureReason, TrialOutcome, TrialStatus
from sweeper.search.study import Tried
from sweeper.search.winner import front, winner
from sweeper.store.ledger import Ledger
from sweeper.store.workspace import Workspace
from sweeper.tracking.mlflow_tracker import MlflowTracker

if TYPE_CHECKING:
    from collections.abc import Callable

# mlflow's own dependencies warn while they are imported and while tables are made
pytestmark = pytest.mark.filterwarnings("ignore")

SITES = ("A-ISBI", "F-HK")

SPACE = """
name: t
trial:
  source: {grid: [A-ISBI, F-HK]}
  method: {name: desam}
  training:
    epochs: 27
    lr: {loguniform: [1e-5, 1e-1]}
search: {algorithm: random, scheduler: asha, samples: 9, grace_epochs: 3}
seeds: [0, 1]
report: {rows: method, columns: source}
"""


def facts(config: Any) -> DataFacts:
    return DataFacts(
        name="hand-made",
        path="/data",
        fingerprint="d" * 16,
        is_synthetic=False,
        domains=SITES,
        structures=("prostate",),
        cases={site: (f"{site}-1",) for site in SITES},
        slices=dict.fromkeys(SITES, 5),
        embedding_fingerprint="e" * 16,
        embeddings="/embeddings",
    )


@dataclass
class Said(Silent):
    """A display that remembers."""

    lines: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.lines.append(text)

    def ended(self, name: str, state: str, note: str) -> None:
        self.lines.append(f"{name}: {state}, {note}")


@dataclass
class InMemory:
    """A tracker for tests that ask it nothing; MLflow costs a second a test."""

    records: list[Any] = field(default_factory=list)

    def log_training(self, record: Any) -> str:
        self.records.append(record)
        return "run"

    def logged(self, sweep: str) -> dict[str, set[str]]:
        return {}

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


@dataclass
class Engine:
    """Stands in for Ray: runs every job here, and writes what a worker would write.

    Attributes:
        ledger: Where.
        kill_after: Epochs in all, after which a signal ends the run.
        fails: True if every training fails.
        started: train_ids in the order begun.
        epochs: How often each epoch was trained.
    """

    ledger: Ledger
    kill_after: int | None = None
    fails: bool = False
    started: list[str] = field(default_factory=list)
    epochs: Counter[tuple[str, int]] = field(default_factory=Counter)

    def __call__(self, source: Any, placement: Any, listener: Any, storage: Path) -> Interrupt:
        while (job := source.next_job()) is not None:
            outcome = self._train(TrainingJob.from_json(job[1]), listener)
            if outcome is None:
                return Interrupt(signal=2)
            listener.on_end(job[0], outcome, None)
        assert source.is_exhausted
        return Interrupt()

    def _train(self, job: TrainingJob, listener: Any) -> TrialOutcome | None:
        assert job.evaluations == {}, "a search must not be scored on a target"
        folder = self.ledger.folder(job.train_id)
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.write("config", {"identity": dict(job.identity)})
        self.started.append(job.train_id)
        listener.on_start(job.train_id)
        if self.fails:
            folder.fail(FailureReason.NON_FINITE, "the loss is nan")
            return TrialOutcome.FAILED
        checkpoint = folder.path / "last.pt"
        known = int(checkpoint.read_text()) if checkpoint.exists() else 0
        records = toy.records(job.config)
        for record in records:
            if record["epoch"] >= known:
                if sum(self.epochs.values()) == self.kill_after:
                    return None
                self.epochs[job.train_id, record["epoch"]] += 1
                checkpoint.write_text(str(record["epoch"] + 1))
            if listener.on_epoch(job.train_id, record) is Decision.STOP:
                return TrialOutcome.PRUNED
        write_fit(folder, records)
        return TrialOutcome.COMPLETED


def write_fit(folder: Any, epochs: list[dict[str, Any]]) -> None:
    folder.write(
        "fit",
        {
            "epochs": epochs,
            "selected_epoch": len(epochs) - 1,
            "seconds": 1.0,
            "peak_memory_bytes": 1,
            "trainable_parameters": 1,
            "device": "cpu",
            "n_train_slices": 5,
        },
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "workspace")


@pytest.fixture
def engine(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Engine:
    from sweeper.engine import cluster, driver

    stand_in = Engine(Ledger(workspace.trainings))
    monkeypatch.setattr(driver, "run_jobs", stand_in)
    monkeypatch.setattr(cluster, "start", lambda _: {"CPU": 2.0})
    monkeypatch.setattr(cluster, "stop", lambda: None)
    monkeypatch.setattr(cluster, "check_fits", lambda _: None)
    return stand_in


def space(text: str = SPACE) -> Sweep:
    return check_sweep(parse_yaml(text, Path("s.yaml")))


def run_search(
    workspace: Workspace, sweep: Sweep, display: Said | None = None, tracker: Any = None
) -> searching.Searched:
    return searching.search(workspace, sweep, facts, tracker or InMemory(), display or Said(), None)


def test_winners_are_chosen_per_source_and_planned_with_every_seed(
    workspace: Workspace, engine: Engine
) -> None:
    display = Said()
    searched = run_search(workspace, space(), display)
    assert [(t.source, t.seed) for t in searched.trials] == [
        (site, seed) for site in SITES for seed in (0, 1)
    ]
    for study in searched.studies:
        record = study.record()
        completed = [t for t in record.tried if t.status is TrialStatus.COMPLETED]
        assert record.winner == max(completed, key=lambda t: t.objectives)
        assert len(record.tried) == study.budget == 9
    n_pruned = sum(
        t.status is TrialStatus.PRUNED for s in searched.studies for t in s.record().tried
    )
    assert 0 < n_pruned < 18
    said = "\n".join(display.lines)
    assert "search budget (the same for every method)" in said
    assert "desam full: 2 cells, each 9 trainings of up to 27 epochs: 486 epochs" in said
    assert (
        f"searched desam full: 18 trainings, {18 - n_pruned} completed, {n_pruned} pruned,"
        f" 0 failed; {sum(engine.epochs.values())} of 486 epochs spent"
    ) in said


def test_a_finished_search_is_not_run_again_and_more_samples_extend_it(
    workspace: Workspace, engine: Engine
) -> None:
    run_search(workspace, space())
    first = Counter(engine.epochs)
    assert not run_search(workspace, space()).ran
    assert engine.epochs == first
    run_search(workspace, space(SPACE.replace("samples: 9", "samples: 12")))
    new = {train_id for train_id, _ in engine.epochs} - {train_id for train_id, _ in first}
    assert len(new) == 2 * 3
    assert set(engine.epochs.values()) == {1}


@pytest.mark.parametrize("scheduler", ["asha", "median"])
def test_a_search_that_was_stopped_resumes_and_ends_as_if_it_had_not_been(
    scheduler: str, workspace: Workspace, engine: Engine, tmp_path: Path
) -> None:
    sweep = space(SPACE.replace("asha", scheduler))
    run_search(workspace, sweep)
    whole = [s.record() for s in open_studies(workspace, sweep, facts)]
    other = Workspace.open(tmp_path / "other")
    expected, engine.epochs = engine.epochs, Counter()
    engine.ledger, engine.started = Ledger(other.trainings), []
    for kill_after in (10, 40):
        engine.kill_after = kill_after
        stopped = run_search(other, sweep)
        assert stopped.signal == 2
        assert stopped.trials == ()
    engine.kill_after = None
    run_search(other, sweep)
    assert [s.record() for s in open_studies(other, sweep, facts)] == whole
    assert engine.epochs == expected
    assert set(expected.values()) == {1}


def test_the_study_in_the_workspace_says_what_it_is_about(
    workspace: Workspace, engine: Engine
) -> None:
    searched = run_search(workspace, space())
    storage = f"sqlite:///{workspace.sweeps}/t/optuna.db"
    for site, found in zip(SITES, searched.studies, strict=True):
        name = f"t: desam full, source {site}, dataset hand-made [{found.study_id}]"
        study = optuna.load_study(study_name=name, storage=storage)
        assert study.user_attrs["method"] == "desam full"
        for trial in study.trials:
            ids = {"source": site, "dataset": "hand-made", "method": "desam full"}
            assert trial.user_attrs.items() >= ids.items()
            folder = Ledger(workspace.trainings).folder(trial.user_attrs["train_id"])
            assert trial.intermediate_values == {
                epoch["epoch"] + 1: epoch["source_dice"] for epoch in folder.epochs()
            }
        assert study.best_trial.user_attrs["train_id"] == found.record().winner.train_id


def test_what_was_trained_already_is_not_trained_again(
    workspace: Workspace, engine: Engine
) -> None:
    sweep = space(SPACE.replace("asha", "none"))
    run_search(workspace, sweep)
    whole = [s.record() for s in open_studies(workspace, sweep, facts)]
    (workspace.sweeps / "t" / "optuna.db").unlink()
    first, tracker = Counter(engine.epochs), InMemory()
    run_search(workspace, sweep, tracker=tracker)
    assert engine.epochs == first
    assert [s.record() for s in open_studies(workspace, sweep, facts)] == whole
    assert {r.train_id for r in tracker.records} == {t for t, _ in first}


def test_a_study_of_two_blocks_that_overlap_trains_nothing_twice(
    workspace: Workspace, engine: Engine
) -> None:
    lists = ["[0.001, 0.002]", "[0.002, 0.003]"]
    blocks = "".join(f"  - trial: {{training: {{lr: {{choice: {lrs}}}}}}}\n" for lrs in lists)
    text = SPACE.replace("seeds:", f"blocks:\n{blocks}seeds:").replace(
        "{algorithm: random, scheduler: asha, samples: 9, grace_epochs: 3}", "{algorithm: grid}"
    )
    searched = run_search(workspace, space(text))
    assert len(searched.studies) == 4
    assert [len(study.record().tried) for study in searched.studies] == [2] * 4
    assert len(engine.started) == len(set(engine.started)) == 2 * 3


def test_a_finished_search_of_a_former_version_keeps_its_winner(
    workspace: Workspace, engine: Engine
) -> None:
    studies = run_search(workspace, space()).studies
    expected = [study.winning_trials() for study in studies]
    for study in studies:
        record = study.record()
        tried = [
            {
                "number": t.number,
                "train_id": t.train_id,
                "values": dict(t.params),
                "state": t.status.value,
                "epochs": t.epochs,
                "first_epoch": 0,
                "objectives": list(t.objectives),
                "config": {**t.values, "training": {**t.values["training"], "changes": []}},
            }
            for t in record.tried
        ]
        won = next(t for t in tried if t["train_id"] == record.winner.train_id)
        former = {"is_finished": True, "budget": 9, "tried": tried, "winner": won}
        study.former_path.parent.mkdir(exist_ok=True)
        study.former_path.write_text(json.dumps(former))
    (workspace.sweeps / "t" / "optuna.db").unlink()
    again = run_search(workspace, space())
    assert not again.ran
    assert [study.winning_trials() for study in again.studies] == expected
    display = Said()
    run_search(workspace, space(SPACE.replace("samples: 9", "samples: 10")), display)
    assert any("searched again" in line for line in display.lines)


def test_pruned_and_searched_trainings_never_enter_a_table(
    workspace: Workspace, engine: Engine
) -> None:
    sweep = space(
        SPACE.replace("samples: 9, grace_epochs: 3", "samples: 3, grace_epochs: 9, seed: 2")
    )
    found = run_search(workspace, sweep, tracker=MlflowTracker(workspace))
    plan = make_plan("t", found.trials, facts)
    tracker, ledger = MlflowTracker(workspace), Ledger(workspace.trainings)
    tracker.prepare(found.name, tracked_plan(sweep, plan, found.studies))
    source = PlannedTrainings(plan.trainings, ledger, selection_tags(found.studies, plan))
    listener = SweepListener(found.name, source, ledger, tracker, Said())
    for training in plan.trainings:
        finish(training, ledger.folder(training.train_id), 0.25)
        listener.keep(training)
    logged = tracker.results([found.name]).runs
    states = sorted(run.status.value for run in logged)
    assert states.count("pruned") == 4  # all of them are kept ...
    assert states.count("completed") == 4
    (table,) = reporting.tables(reporting.query(workspace, [found.name]))
    assert table.draft_reasons == ("random weights in encoder vit_tiny",)
    assert [row.label for row in table.rows] == ["desam grid_points"]  # ... and none is shown
    assert all(cell.seeds_done == 2 for cell in table.rows[0].cells[:-1])
    said = reporting.render_markdown(table)
    assert "pruned" not in said
    assert "3 trainings tried for each cell, each evaluated only on its source" in said
    chosen = [run for run in logged if run.tags.get("stage") == "table"]
    assert {run.train_id for run in chosen} == {t.train_id for t in plan.trainings}
    for run in chosen:
        assert run.tags["selection.tried"] == "3"
        assert "asha, highest source_dice" in run.tags["selection.rule"]


def test_rows_of_unequal_searches_are_a_draft(workspace: Workspace, engine: Engine) -> None:
    text = SPACE.replace("seeds:", "blocks:\n  - trial: {}\n  - trial: {BLOCK}\nseeds:")
    sweep = space(text.replace("{BLOCK}", "{method: {name: unet}, training: {lr: 0.1}}"))
    found = run_search(workspace, sweep)
    plan = make_plan("t", (*sweep.trials, *found.trials), facts)
    tracker, ledger = MlflowTracker(workspace), Ledger(workspace.trainings)
    tracker.prepare("t", tracked_plan(sweep, plan, found.studies))
    for training in plan.trainings:
        folder = ledger.folder(training.train_id)
        finish(training, folder, 0.25)
        tracker.log_training(training_record(training, folder, "t"))
    with pytest.raises(
        DraftError,
        match=r"unequal searches .*(desam grid_points 9, unet 0|unet 0, desam grid_points 9)",
    ):
        reporting.tables(reporting.query(workspace, ["t"]), is_final=True)


def test_the_page_of_a_table_with_several_seeds_is_made(workspace: Workspace) -> None:
    sweep = space("name: t\nseeds: [0, 1]\ntrial: {source: A-ISBI, method: {name: desam}}\n")
    plan = make_plan("t", sweep.trials, facts)
    tracker, ledger = MlflowTracker(workspace), Ledger(workspace.trainings)
    tracker.prepare("t", tracked_plan(sweep, plan))
    for training in plan.trainings:
        folder = ledger.folder(training.train_id)
        finish(training, folder, 0.25 + 0.1 * training.config.seed)
        tracker.log_training(training_record(training, folder, "t"))
    query = reporting.query(workspace, ["t"], ReportSpec(rows="method", columns="source"))
    text = make_page(workspace, query, reporting.tables(query))
    assert "Average score of each seed" in text


def test_a_table_training_that_is_only_pruned_is_a_dash_and_refuses_a_final_table(
    workspace: Workspace, engine: Engine
) -> None:
    sweep, kept = space(), InMemory()
    found = run_search(workspace, sweep, tracker=kept)
    study = found.studies[0]
    pruned = next(t for t in study.record().tried if t.status is TrialStatus.PRUNED)
    again = [t for t in found.trials if t.source == "F-HK"]
    wrongly = study.training(pruned.values).config
    plan = make_plan("t", [*again, wrongly], facts)
    tracker = MlflowTracker(workspace)
    tracker.prepare(found.name, tracked_plan(sweep, plan, found.studies))
    tracker.log_training(next(r for r in kept.records if r.train_id == pruned.train_id))
    query = reporting.query(workspace, [found.name], ReportSpec(rows="method", columns="source"))
    with pytest.raises(DraftError, match="1 pruned"):
        reporting.tables(query, is_final=True)


def finish(training: Any, folder: Any, dice: float) -> None:
    """Write a training's fit and scores as a worker would."""
    folder.path.mkdir(parents=True, exist_ok=True)
    if folder.fit() is None:
        write_fit(folder, toy.records(training.config))
    for evaluation in training.evaluations:
        scores = [
            {
                "domain": site,
                "case": f"{site}-1",
                "structure": "prostate",
                "protocol": protocol,
                "dice": dice,
                "hd95_mm": 1.0,
                "asd_mm": 1.0,
                "n_slices": 5,
            }
            for site in SITES
            for protocol in ("desam2024", "strict")
        ]
        folder.write(
            f"evaluations/{evaluation.eval_id}/scores",
            {"settings": {}, "scores": scores, "seconds": 1.0, "seconds_per_slice": 0.1},
        )


def test_status_shows_the_trainings_of_a_search_and_their_checkpoints_go(
    workspace: Workspace, engine: Engine
) -> None:
    found = run_search(workspace, space())
    cells = searched_cells(found.studies, Ledger(workspace.trainings))
    states = [cell.state for cell in cells]
    assert states.count(State.PRUNED) + states.count(State.DONE) == 18
    assert states.count(State.PRUNED) > 6
    assert not [
        cell
        for cell in cells
        if cell.state is State.PRUNED
        and (workspace.trainings / cell.training.train_id / "last.pt").exists()
    ]


def test_budgets_that_differ_are_printed_as_such(workspace: Workspace) -> None:
    text = SPACE.replace("seeds:", "blocks:\n  - trial: {}\n  - trial: {BLOCK}\nseeds:")
    unsearched = space(text.replace("{BLOCK}", "{method: {name: unet}, training: {lr: 0.1}}"))
    said = budget_lines(unsearched, open_studies(workspace, unsearched, facts))
    assert "UNEQUAL" in said[0]
    assert "  unet: nothing searched" in said
    equal = space(text.replace("{BLOCK}", "{method: {name: unet}}"))
    said = budget_lines(equal, open_studies(workspace, equal, facts))
    assert "the same for every method" in said[0]


def test_several_metrics_choose_the_compromise_nearest_to_the_best_of_each() -> None:
    sweep = space(
        SPACE.replace(
            "{algorithm: random, scheduler: asha, samples: 9, grace_epochs: 3}",
            "{algorithm: optuna, samples: 9, metric: [source_dice, seconds]}",
        )
    )
    search = sweep.studies[0].search

    def tried(name: str, dice: float, seconds: float, status: str = "completed") -> Tried:
        return Tried(
            number=0,
            train_id=name,
            params={},
            values={},
            status=TrialStatus(status),
            epochs=27,
            objectives=(dice, seconds),
        )

    trainings = [
        tried("slow", 0.9, 100.0),
        tried("good", 0.88, 20.0),
        tried("fast", 0.2, 10.0),
        tried("beaten", 0.87, 30.0),
        tried("pruned", 0.99, 1.0, "pruned"),
    ]
    assert [t.train_id for t in front(search, trainings)] == ["slow", "good", "fast"]
    assert winner(search, trainings).train_id == "good"
    assert winner(search, trainings[-1:]) is None


def test_a_search_without_a_completed_training_says_so_until_it_is_retried(
    workspace: Workspace, engine: Engine
) -> None:
    engine.fails = True
    told: list[str] = []
    searched = searching.search(
        workspace, space(), facts, InMemory(), Said(), None, lambda name, _: told.append(name)
    )
    assert len(told) == 18  # every failure is told
    assert searched.trials == ()
    said = outcome_lines(searched.studies)
    assert any("no training of the search completed" in line for line in said)
    assert not run_search(workspace, space()).ran
    engine.fails = False
    for folder in Ledger(workspace.trainings):
        folder.remove_records("failure")
    assert len(run_search(workspace, space()).trials) == 4
    assert set(Counter(engine.started).values()) == {2}


def test_a_database_of_another_version_of_optuna_gets_one_line(
    workspace: Workspace, engine: Engine
) -> None:
    run_search(workspace, space())
    database = workspace.sweeps / "t" / "optuna.db"
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v2.6.0.a'")
    with pytest.raises(StoreError, match=r"optuna.db: another version of Optuna .* upgrade it"):
        run_search(workspace, space())
