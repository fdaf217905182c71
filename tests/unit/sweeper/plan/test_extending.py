"""A training continues a finished one of fewer epochs where the rates allow it, and only there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from toy_plan import FACTS

from desam_model.training.fit import Schedule
from sweeper.config.sweep import check_sweep
from sweeper.config.trial import TrainingConfig
from sweeper.config.yaml_reader import parse_yaml
from sweeper.pipeline.costs.estimate import Pace, estimate, kind
from sweeper.plan.expand import Training, make_plan
from sweeper.plan.extending import Extension, find_extensions, has_same_rates
from sweeper.plan.states import cells_of
from sweeper.store.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path


def plan(epochs: int, decay: str = "constant", **more: Any) -> Any:
    training = {"epochs": epochs, "lr_decay": decay, **more}
    text = f"name: t\ntrial: {{source: A, method: {{name: desam}}, training: {training}}}"
    return make_plan("t", check_sweep(parse_yaml(text)).trials, lambda _: FACTS)


def finish(ledger: Ledger, training: Training, **fit: Any) -> None:
    folder = ledger.folder(training.train_id)
    folder.write(
        "config",
        {"identity": training.identity, "config": training.config.model_dump(mode="json")},
    )
    folder.write("fit", {"epochs": [{}] * training.config.training.epochs, **fit})
    (folder.path / "last.pt").touch()


def found(ledger: Ledger, wanted: Any) -> Extension | None:
    (training,) = wanted.trainings
    return find_extensions(cells_of(wanted, ledger), ledger).get(training.train_id)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


def test_the_longest_finished_training_that_differs_in_the_epochs_only_is_continued(
    ledger: Ledger,
) -> None:
    for epochs in (3, 5, 9):
        finish(ledger, plan(epochs).trainings[0])
    finish(ledger, plan(6, lr=0.5).trainings[0])
    extension = found(ledger, plan(8))
    assert extension == Extension(train_id=plan(5).trainings[0].train_id, epochs=5)
    assert found(ledger, plan(2)) is None
    assert found(ledger, plan(9)) is None  # it is finished itself


def test_what_cannot_be_continued_says_why(ledger: Ledger) -> None:
    finish(ledger, plan(5, "poly").trainings[0])
    extension = found(ledger, plan(8, "poly"))
    assert extension is not None
    assert extension.obstacle == (
        "the learning rate decays over all epochs (lr_decay: poly), so the first 5 of 8 have other"
        " rates"
    )
    finish(ledger, plan(5).trainings[0], remedy="half a batch")
    assert "change the rounding" in found(ledger, plan(8)).obstacle
    finish(ledger, plan(6).trainings[0])
    ledger.folder(plan(6).trainings[0].train_id).remove_checkpoints()
    assert "last.pt was removed" in found(ledger, plan(8)).obstacle


@pytest.mark.parametrize("decay", ["constant", "poly", "linear"])
@pytest.mark.parametrize("constant_epochs", [0, 1, 3])
def test_the_rule_is_that_of_the_rates_themselves(decay: Any, constant_epochs: int) -> None:
    config = TrainingConfig(epochs=8, lr_decay=decay, constant_epochs=constant_epochs)
    long = Schedule(epochs=8, lr_decay=decay, constant_epochs=constant_epochs)
    for epochs in range(constant_epochs + 1, 8):
        short = replace(long, epochs=epochs)
        are_equal = all(short.lr_at(e) == long.lr_at(e) for e in range(epochs))
        assert has_same_rates(config, epochs) == are_equal, epochs


def test_only_the_epochs_that_are_left_cost_something(ledger: Ledger) -> None:
    wanted = plan(8)
    pace = Pace(slice_seconds=1.0, scored_slice_seconds=0.0, peak_bytes=0, parameters=1,
                origin="measured")  # fmt: skip
    (training,) = wanted.trainings
    cells, paces = cells_of(wanted, ledger), {kind(training): pace}
    whole = estimate(cells, paces).training_seconds
    rest = estimate(cells, paces, {training.train_id: 6}).training_seconds
    assert rest == pytest.approx(whole / 4)
