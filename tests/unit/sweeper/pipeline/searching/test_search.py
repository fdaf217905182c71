"""A search, what it keeps, and what of it a table may show: without Ray, with a real MLflow."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import toy_search as toy

from sweeper.config.report import ReportSpec
from sweeper.config.sweep import Sweep, check_sweep
from sweeper.config.yaml_reader import parse_yaml
from sweeper.errors import DraftError
from sweeper.pipeline import report as reporting
from sweeper.pipeline.display import Silent
from sweeper.pipeline.page import make_page
from sweeper.pipeline.run import tracked_plan
from sweeper.pipeline.running.record import training_record
from sweeper.pipeline.running.tagging import TaggingTracker
from sweeper.pipeline.searching import search as searching
from sweeper.pipeline.searching.studies import open_studies, searched_cells, selection_tags
from sweeper.pipeline.searching.study_text import budget_lines, outcome_lines
from sweeper.pipeline.searching.winners import front, winner
from sweeper.plan.expand import make_plan
from sweeper.plan.identity import DataFacts
from sweeper.plan.states import State
from sweeper.records import TrialOutcome
from sweeper.search.courses import Ended
from sweeper.store.ledger import EPOCHS_FILE, Ledger, known_epochs
from sweeper.store.workspace import Workspace
from sweeper.tracking.mlflow_tracker import MlflowTracker

if TYPE_CHECKING:
    from collections.abc import Sequence

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
search: {algorithm: random, scheduler: hyperband, samples: 9, grace_epochs: 3}
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


@dataclass
class Engine:
    """Stands in for Ray: runs every step here, and writes what a worker would write."""

    ledger: Ledger
    stop_after: int | None = None
    steps: list[str] = field(default_factory=list)
    epochs: Counter[tuple[str, int]] = field(default_factory=Counter)

    def __call__(
        self, studies: Sequence[Any], job_of: Any, placement: Any, listener: Any, storage: Path
    ) -> Any:
        from sweeper.engine.ray_tune import Interrupt

        for study in studies:
            while not study.course.is_finished:
                if self.stop_after is not None and len(self.steps) >= self.stop_after:
                    return Interrupt(signal=2)
                self._run(study.course, job_of, listener)
        return Interrupt()

    def _run(self, course: Any, job_of: Any, listener: Any) -> None:
        from sweeper.plan.job import TrainingJob

        step = course.next_step()
        job = TrainingJob.from_json(job_of(step))
        assert job.evaluations == {}, "a search must not be scored on a target"
        folder = self.ledger.folder(job.train_id)
        how = self._work(step, folder)
        self.steps.append(job.train_id)
        listener.on_start(step.training)
        for one in course.ended(step, how):
            listener.on_end(one.training, TrialOutcome.PRUNED)
        if how.outcome in (TrialOutcome.COMPLETED, TrialOutcome.FAILED):
            listener.on_end(step.training, how.outcome)

    def _work(self, step: Any, folder: Any) -> Ended:
        how = toy.answer(step)
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.write("config", {"identity": dict(step.training.identity)})
        (folder.path / "last.pt").touch()
        known = len(known_epochs(folder))
        with (folder.path / EPOCHS_FILE).open("a") as file:
            for record in list(how.epochs)[known:]:
                self.epochs[folder.train_id, record["epoch"]] += 1
                file.write(json.dumps(record) + "\n")
        if how.outcome is TrialOutcome.COMPLETED and folder.fit() is None:
            write_fit(folder, list(how.epochs))
        return how


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
    from sweeper.engine import cluster, search_tune

    stand_in = Engine(Ledger(workspace.trainings))
    monkeypatch.setattr(search_tune, "run_search", stand_in)
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
    found = run_search(workspace, space(), display)
    assert [(t.source, t.seed) for t in found.trials] == [
        (site, seed) for site in SITES for seed in (0, 1)
    ]
    for study in found.studies:
        record = study.record()
        assert record is not None
        best = max(
            (one for one in record["tried"] if one["state"] == "completed"),
            key=lambda one: one["objectives"][0],
        )
        assert record["winner"] == best
        assert len(record["tried"]) == record["budget"] == 9
    said = "\n".join(display.lines)
    assert "search budget (the same for every method)" in said
    assert "desam full: 2 cells, each 9 trainings of up to 27 epochs: 486 epochs" in said
    assert "searched desam full: 18 trainings, 2 completed, 16 pruned, 0 failed; 126 of 486" in said


def test_a_finished_search_is_not_run_again_and_more_samples_extend_it(
    workspace: Workspace, engine: Engine
) -> None:
    run_search(workspace, space())
    first = Counter(engine.epochs)
    run_search(workspace, space())
    assert engine.epochs == first
    assert len(engine.steps) == 2 * (9 + 3 + 1)
    run_search(workspace, space(SPACE.replace("samples: 9", "samples: 12")))
    new = {train_id for train_id, _ in engine.epochs} - {train_id for train_id, _ in first}
    assert len(new) == 2 * 3
    assert set(engine.epochs.values()) == {1}


def test_a_search_that_was_stopped_goes_on_and_ends_as_if_it_had_not_been(
    workspace: Workspace, engine: Engine, tmp_path: Path
) -> None:
    run_search(workspace, space())
    whole = [s.record() for s in open_studies(workspace, space(), facts)]
    other = Workspace.open(tmp_path / "other")
    expected, engine.epochs = engine.epochs, Counter()
    engine.ledger, engine.steps, engine.stop_after = Ledger(other.trainings), [], 5
    stopped = run_search(other, space())
    assert stopped.signal == 2
    assert stopped.trials == ()
    engine.stop_after = None
    run_search(other, space())
    assert [s.record() for s in open_studies(other, space(), facts)] == whole
    assert engine.epochs == expected
    assert set(expected.values()) == {1}


def test_pruned_and_searched_trainings_never_enter_a_table(
    workspace: Workspace, engine: Engine
) -> None:
    sweep = space(SPACE.replace("samples: 9, grace_epochs: 3", "samples: 3, grace_epochs: 9"))
    found = run_search(workspace, sweep, tracker=MlflowTracker(workspace))
    plan = make_plan("t", found.trials, facts)
    tracker = TaggingTracker(MlflowTracker(workspace), selection_tags(found.studies, plan))
    tracker.prepare(found.name, tracked_plan(sweep, plan, found.studies))
    ledger = Ledger(workspace.trainings)
    for training in plan.trainings:
        finish(training, ledger.folder(training.train_id), 0.25)
        tracker.log_training(
            training_record(training, ledger.folder(training.train_id), found.name, {})
        )
    logged = tracker.results([found.name]).runs
    states = sorted(run.status.value for run in logged)
    assert states.count("pruned") == 4  # all of them are kept ...
    assert states.count("completed") == 4
    (table,) = reporting.tables(reporting.query(workspace, [found.name]), is_final=True)
    assert [row.label for row in table.rows] == ["desam grid_points"]  # ... and none is shown
    assert all(cell.seeds_done == 2 for cell in table.rows[0].cells[:-1])
    said = reporting.render_markdown(table)
    assert "pruned" not in said
    assert "3 trainings tried for each cell, each evaluated only on its source" in said
    chosen = [run for run in logged if run.tags.get("stage") == "table"]
    assert {run.train_id for run in chosen} == {t.train_id for t in plan.trainings}
    for run in chosen:
        assert run.tags["selection.tried"] == "3"
        assert "hyperband, highest source_dice" in run.tags["selection.rule"]


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
        tracker.log_training(training_record(training, folder, "t", {}))
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
        tracker.log_training(training_record(training, folder, "t", {}))
    query = reporting.query(workspace, ["t"], ReportSpec(rows="method", columns="source"))
    text = make_page(workspace, query, reporting.tables(query))
    assert "Average score of each seed" in text


def test_a_table_training_that_is_only_pruned_is_a_dash_and_refuses_a_final_table(
    workspace: Workspace, engine: Engine
) -> None:
    sweep, kept = space(), InMemory()
    found = run_search(workspace, sweep, tracker=kept)
    study = found.studies[0]
    record = study.record()
    assert record is not None
    pruned = next(one for one in record["tried"] if one["state"] == "pruned")
    again = [t for t in found.trials if t.source == "F-HK"]
    wrongly = study.training(pruned["config"]).config
    plan = make_plan("t", [*again, wrongly], facts)
    tracker = MlflowTracker(workspace)
    tracker.prepare(found.name, tracked_plan(sweep, plan, found.studies))
    tracker.log_training(next(r for r in kept.records if r.train_id == pruned["train_id"]))
    query = reporting.query(workspace, [found.name], ReportSpec(rows="method", columns="source"))
    with pytest.raises(DraftError, match="1 pruned"):
        reporting.tables(query, is_final=True)


def finish(training: Any, folder: Any, dice: float) -> None:
    """Write a training's fit and scores as a worker would."""
    folder.path.mkdir(parents=True, exist_ok=True)
    if folder.fit() is None:
        write_fit(folder, toy.records(training.config, None))
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
    assert states.count(State.PRUNED) == 16
    assert states.count(State.DONE) == 2
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
            "{algorithm: random, scheduler: hyperband, samples: 9, grace_epochs: 3}",
            "{algorithm: optuna, samples: 9, metric: [source_dice, seconds]}",
        )
    )
    search = sweep.studies[0].search

    def one(name: str, dice: float, seconds: float, state: str = "completed") -> dict[str, Any]:
        return {"train_id": name, "state": state, "objectives": [dice, seconds]}

    tried = [
        one("slow", 0.9, 100.0),
        one("good", 0.88, 20.0),
        one("fast", 0.2, 10.0),
        one("beaten", 0.87, 30.0),
        one("undefined", float("nan"), 1.0),
        one("pruned", 0.99, 1.0, "pruned"),
    ]
    assert [found["train_id"] for found in front(search, tried)] == ["slow", "good", "fast"]
    chosen = winner(search, tried)
    assert chosen is not None
    assert chosen["train_id"] == "good"
    assert winner(search, tried[-2:]) is None


def test_a_search_without_a_completed_training_says_so(
    workspace: Workspace, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Any, step: Any, folder: Any) -> Ended:
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.write(
            "failure",
            {
                "reason": "non_finite",
                "message": "the loss is nan",
                "traceback_hash": "h",
                "log_path": "log.txt",
            },
        )
        return Ended(outcome=TrialOutcome.FAILED, epochs=[])

    monkeypatch.setattr(Engine, "_work", fail)
    told: list[str] = []
    found = searching.search(
        workspace, space(), facts, InMemory(), Said(), None, lambda name, _: told.append(name)
    )
    assert len(told) == 18  # every failure is told
    assert found.trials == ()
    assert any(
        "no training of the search completed" in line for line in outcome_lines(found.studies)
    )
