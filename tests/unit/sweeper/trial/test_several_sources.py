"""A real training on two of three sites: what it reads, what it scores, and what is said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import tiny_workspace as tiny

from sweeper.config.trial import TrialConfig
from sweeper.pipeline.data.sources import DataSource
from sweeper.pipeline.display import Silent
from sweeper.pipeline.running.overlays import draw_overlays
from sweeper.pipeline.running.record import training_record
from sweeper.plan.expand import make_plan
from sweeper.predict.model_card import model_card
from sweeper.predict.trained import facts_of
from sweeper.tracking.rows_file import scores_of
from sweeper.tracking.run_metrics import final_metrics

if TYPE_CHECKING:
    from sweeper.plan.expand import Training
    from sweeper.store.ledger import TrainingFolder
    from sweeper.store.workspace import Workspace

SOURCES, TARGET = ("A-ISBI", "D-UCL"), "F-HK"


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Workspace, Training, TrainingFolder]:
    root = tmp_path_factory.mktemp("several")
    workspace = tiny.make_workspace(root, [], folders=("RUNMC", "UCL", "HK"))
    config = TrialConfig.model_validate(
        {
            "source": list(SOURCES),
            "dataset": "tiny",
            "method": tiny.UNET,
            "training": {"epochs": 1, "batch_size": 4},
        }
    )
    plan = make_plan("tiny", [config], DataSource(workspace, Silent()).facts)
    (training,) = plan.trainings
    return workspace, training, tiny.train(workspace, training)


def domain(case: str, training: Training) -> str:
    return next(d for d, cases in training.data.cases.items() if case in cases)


def test_both_sites_train_and_validate_and_the_target_does_neither(trained) -> None:
    _, training, folder = trained
    fit = folder.fit()
    for part in ("train_cases", "validation_cases"):
        assert {domain(case, training) for case in fit[part]} == set(SOURCES)
    trained_on = {case for d in SOURCES for case in training.data.cases[d]}
    assert {*fit["train_cases"], *fit["validation_cases"]} == trained_on
    assert training.n_source_slices == sum(training.data.slices[d] for d in SOURCES)


def test_its_rows_name_the_sources_and_the_mean_is_over_the_target_alone(trained) -> None:
    _, training, folder = trained
    record = training_record(training, folder, "tiny")
    assert record.params["source"] == record.tags["source"] == "A-ISBI+D-UCL"
    assert {row.target for row in record.rows} == {*SOURCES, TARGET}
    assert {row.source for row in record.rows} == {"A-ISBI+D-UCL"}
    metrics = {
        name: value for name, value, _, _ in final_metrics(record, scores_of(record.rows), 0)
    }
    assert metrics["dice/strict/mean"] == metrics[f"dice/strict/{TARGET}"]
    assert "dice/strict/D-UCL" not in metrics
    assert set(draw_overlays(training, folder)) == {f"overlays/{TARGET}.png"}


def test_the_model_knows_both_sites(trained) -> None:
    workspace, _, folder = trained
    facts = facts_of(workspace, folder)
    assert facts.settings_for(None) == facts.settings_for("D-UCL")
    assert "domain A-ISBI and D-UCL: 6 training cases" in model_card(facts, {}, "0")
    means = {"strict": {d: {"n": 1.0, "dice": 0.5} for d in (*SOURCES, TARGET)}}
    card = model_card(facts, means, "0")
    assert "| D-UCL (validation) | 1 | 50.00" in card
    assert f"| {TARGET} | 1 | 50.00" in card
