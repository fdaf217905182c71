from __future__ import annotations

import math
from collections import Counter
from statistics import fmean
from typing import TYPE_CHECKING

import optuna
import pytest
from toy_search import EPOCHS, NAME, cell_study, records, run, sqlite, toy_config, toy_id

from sweeper.records import TrialStatus
from sweeper.search.objectives import objectives

if TYPE_CHECKING:
    from pathlib import Path

ALL = [
    "{algorithm: random, samples: 12}",
    "{algorithm: optuna, samples: 12}",
    "{algorithm: random, samples: 12, scheduler: asha, grace_epochs: 3}",
    "{algorithm: optuna, samples: 12, scheduler: hyperband, grace_epochs: 3}",
    "{algorithm: random, samples: 12, scheduler: median, grace_epochs: 3, seed: 1}",
]
LISTED = """
name: t
trial:
  source: {{grid: [{sites}]}}
  method:
    name: desam
    loss_weights:
      choice:
        - {{iou: {{choice: [1.0, 2.0]}}}}
        - {{iou: 5.0, ce: {{choice: [0.5, 1.0, 2.0]}}}}
  training: {{epochs: 27, weight_decay: {{quniform: [0.1, 0.3, 0.1]}}}}
search: {search}
"""


def params(storage: optuna.storages.BaseStorage) -> list[dict[str, object]]:
    study = optuna.load_study(study_name=NAME, storage=storage)
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("search", ALL)
def test_a_search_tries_as_many_as_it_was_given_and_some_train_to_their_end(search: str) -> None:
    study = cell_study(search)
    run(study)
    tried = study.tried()
    assert study.is_finished
    assert study.next_trial() is None
    assert len({t.train_id for t in tried}) == len(tried) == 12
    assert {t.status for t in tried} <= {TrialStatus.COMPLETED, TrialStatus.PRUNED}
    whole = [t for t in tried if t.status is TrialStatus.COMPLETED]
    assert whole
    assert all(t.epochs == EPOCHS for t in whole)
    stopped = [t for t in tried if t.status is TrialStatus.PRUNED]
    assert bool(stopped) == ("scheduler" in search)
    assert all(3 <= t.epochs < EPOCHS for t in stopped)


def test_people_can_read_the_study_with_optuna_alone(tmp_path: Path) -> None:
    ran = run(cell_study(ALL[2], sqlite(tmp_path)))
    study = optuna.load_study(study_name=NAME, storage=f"sqlite:///{tmp_path}/optuna.db")
    assert study.metric_names == ["source_dice"]
    assert study.user_attrs == {"method": "desam full", "source": "A-ISBI", "dataset": "toy"}
    assert len(study.trials) == len(ran) == 12
    for trial, training in zip(study.trials, ran, strict=True):
        assert trial.params == {
            "training.lr": training.config.training.lr,
            "training.batch_size": training.config.training.batch_size,
        }
        assert (
            trial.user_attrs.items()
            >= {
                "train_id": training.train_id,
                "method": "desam full",
                "source": "A-ISBI",
                "dataset": "toy",
            }.items()
        )
        epochs = records(training.config, training.n_epochs)
        assert trial.intermediate_values == {e["epoch"] + 1: e["source_dice"] for e in epochs}
        assert trial.value == epochs[-1]["source_dice"]
        assert (trial.state.name == "COMPLETE") == (len(epochs) == EPOCHS)
    assert study.best_trial.value == max(
        t.value for t in study.trials if t.state.name == "COMPLETE"
    )


@pytest.mark.parametrize("search", ALL[:2])
def test_a_killed_search_hands_its_running_trials_out_again(search: str, tmp_path: Path) -> None:
    storage = sqlite(tmp_path)
    before = run(cell_study(search, storage), width=2, kill_after=2 * EPOCHS + 5)
    running = [ran for ran in before if ran.n_epochs < EPOCHS]
    assert len(before) == 4
    assert len(running) == 2
    resumed = cell_study(search, storage)
    after = run(resumed, width=2)
    assert [(r.trial.number, r.train_id) for r in after[:2]] == [
        (r.trial.number, r.train_id) for r in running
    ]
    assert len(resumed.tried()) == 12
    uninterrupted = cell_study(search)
    run(uninterrupted, width=2)
    assert [t.params for t in resumed.tried()[:4]] == [t.params for t in uninterrupted.tried()[:4]]
    assert [t.number for t in resumed.tried()] == list(range(12))


def test_an_interrupted_random_search_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    storage, search = sqlite(tmp_path), ALL[2]
    for kill_after in (1, 10, 20):
        run(cell_study(search, storage), width=1, kill_after=kill_after)
    resumed, uninterrupted = cell_study(search, storage), cell_study(search)
    run(resumed, width=1)
    run(uninterrupted, width=1)
    assert resumed.tried() == uninterrupted.tried()


def test_an_epoch_is_reported_once_however_often_it_is_trained(tmp_path: Path) -> None:
    storage = sqlite(tmp_path)
    (before,) = run(cell_study(ALL[0], storage), width=1, kill_after=5)
    again = cell_study(ALL[0], storage).next_trial()
    assert again.begin(before.train_id)
    assert again.n_reported == 5
    epochs = records(before.config)
    assert not any(again.report(epochs[:n]) for n in range(1, 6))
    assert again.report(epochs[:6])
    assert not again.report(epochs[:6])


def test_a_training_that_was_stopped_before_a_kill_stays_stopped(tmp_path: Path) -> None:
    storage = sqlite(tmp_path)
    study = cell_study(ALL[2], storage)
    good, bad = study.next_trial(), study.next_trial()
    assert good.begin("good")
    assert bad.begin("bad")
    high, low = (records(toy_config({**good.values, "training": {"lr": lr}})) for lr in (1e-3, 1.0))
    assert not good.judge(high[:3])
    assert bad.judge(low[:3])
    killed = cell_study(ALL[2], storage)
    assert not killed.next_trial().is_stopped
    assert killed.next_trial().is_stopped


def test_no_training_is_stopped_after_its_last_epoch() -> None:
    study = cell_study("{algorithm: random, samples: 2, scheduler: asha, grace_epochs: 26}")
    first, second = study.next_trial(), study.next_trial()
    best = records(toy_config({**first.values, "training": {"lr": 1e-3}}))
    worst = records(toy_config({**first.values, "training": {"lr": 10.0}}))
    assert not first.judge(best[:26])
    assert not second.judge(worst)


def test_more_samples_extend_a_search() -> None:
    for search in ALL[:2]:
        storage = optuna.storages.InMemoryStorage()
        run(cell_study(search, storage))
        first = params(storage)
        extended = cell_study(search.replace("12", "14"), storage)
        assert not extended.is_finished
        run(extended)
        assert params(storage)[:12] == first
        assert len(extended.tried()) == 14
        assert len(cell_study(search, storage).tried()) == 12  # fewer again: the first ones


def test_draws_are_the_same_for_every_source() -> None:
    def lrs(search: str, site: int) -> list[object]:
        study = cell_study(search, site=site)
        run(study)
        return [t.params["training.lr"] for t in study.tried()]

    assert lrs(ALL[0], 0) == lrs(ALL[0], 1)
    assert lrs(ALL[1], 0)[:4] == lrs(ALL[1], 1)[:4]  # before TPE has learnt anything


def test_optuna_learns_where_chance_does_not() -> None:
    distances = []
    for seed in range(3):
        study = cell_study(f"{{algorithm: optuna, samples: 40, seed: {seed}}}")
        run(study, width=1)
        rates = [t.params["training.lr"] for t in study.tried()[25:]]
        distances += [abs(math.log10(rate) + 3) for rate in rates]
    assert fmean(distances) < 0.8  # chance: 1.0


def test_a_grid_is_every_combination_once_axes_of_one_choice_included() -> None:
    study = cell_study("{algorithm: grid}", space=LISTED)
    ran = run(study)
    weights = [(r.config.method.loss_weights.iou, r.config.method.loss_weights.ce) for r in ran]
    assert set(Counter(weights).values()) == {3}
    assert [w for i, w in enumerate(weights) if i % 3 == 0] == [
        (1.0, None),
        (2.0, None),
        (5.0, 0.5),
        (5.0, 1.0),
        (5.0, 2.0),
    ]
    assert [r.config.training.weight_decay for r in ran[:3]] == [0.1, 0.2, 0.3]
    assert study.is_finished


def test_choices_of_mappings_read_as_they_were_written() -> None:
    storage = optuna.storages.InMemoryStorage()
    study = cell_study("{algorithm: grid}", storage, space=LISTED)
    run(study)
    written = {trial["method.loss_weights"] for trial in params(storage)}
    assert written == {"{iou: {choice: [1.0, 2.0]}}", "{iou: 5.0, ce: {choice: [0.5, 1.0, 2.0]}}"}
    assert [toy_id(toy_config(t.values)) for t in study.tried()] == [
        t.train_id for t in study.tried()
    ]


@pytest.mark.parametrize("algorithm", ["random", "optuna"])
def test_a_combination_is_trained_once_and_few_of_them_end_a_search(algorithm: str) -> None:
    study = cell_study(f"{{algorithm: {algorithm}, samples: 40}}", space=LISTED)
    ran = run(study)
    assert len({r.train_id for r in ran}) == len(ran) == 15
    assert study.is_finished


def test_failed_trainings_count_but_never_complete() -> None:
    study = cell_study(ALL[2])
    run(study, fails=lambda config: 1e-4 < config.training.lr < 1e-2)
    failed = [t for t in study.tried() if t.status is TrialStatus.FAILED]
    assert failed
    assert all(t.objectives is None for t in failed)
    assert len(study.tried()) == 12
    run(nothing := cell_study(ALL[1]), fails=lambda _: True)
    assert {t.status for t in nothing.tried()} == {TrialStatus.FAILED}


def test_a_failed_training_is_tried_again_in_a_trial_of_its_own(tmp_path: Path) -> None:
    storage = sqlite(tmp_path)
    run(cell_study(ALL[0], storage), fails=lambda config: config.training.lr < 1e-4)
    study = cell_study(ALL[0], storage)
    failed = [t for t in study.tried() if t.status is TrialStatus.FAILED]
    for _ in range(2):  # asked for twice, it is tried once
        for tried in failed:
            study.retry(tried.number)
    assert not study.is_finished
    retried = run(study)
    assert [r.train_id for r in retried] == [t.train_id for t in failed]
    assert study.is_finished
    assert len(study.tried()) == 12
    assert {t.status for t in study.tried()} == {TrialStatus.COMPLETED}


def test_a_trial_that_was_cut_off_while_it_was_made_is_completed(tmp_path: Path) -> None:
    storage = sqlite(tmp_path)
    cell_study(ALL[1], storage)
    asked = optuna.load_study(study_name=NAME, storage=storage).ask()
    lr = asked.suggest_float("training.lr", 1e-5, 1e-1, log=True)  # and then it was killed
    study = cell_study(ALL[1], storage)
    ran = run(study)
    assert ran[0].trial.number == 0
    assert ran[0].config.training.lr == lr
    assert len(study.tried()) == 12


def test_several_metrics_are_several_objectives() -> None:
    study = cell_study("{algorithm: optuna, samples: 6, metric: [source_dice, seconds]}")
    run(study)
    assert all(t.objectives is not None for t in study.tried())
    assert {t.objectives[1] for t in study.tried()} == {float(EPOCHS)}


def test_an_undefined_objective_is_a_failure() -> None:
    study = cell_study(ALL[0])
    trial = study.next_trial()
    trial.begin("t")
    trial.complete([{**e, "source_dice": float("nan")} for e in records(toy_config(trial.values))])
    assert [t.status for t in study.tried()] == [TrialStatus.FAILED]


def test_the_selected_checkpoint_decides_not_the_last() -> None:
    epochs = [
        {"epoch": 0, "source_dice": 0.4, "validation_loss": 0.5, "seconds": 2.0},
        {"epoch": 1, "source_dice": 0.9, "validation_loss": 0.7, "seconds": 3.0},
    ]
    assert objectives(("source_dice", "validation_loss", "seconds"), epochs) == (0.4, 0.5, 5.0)
