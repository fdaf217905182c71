"""What the person who waits is told of a training that has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from toy_plan import plan_of

from sweeper.pipeline.running.listen import SweepListener
from sweeper.pipeline.running.sources import PlannedTrainings, score_note
from sweeper.records import FailureReason, TrialOutcome
from sweeper.store.ledger import Ledger, TrainingFolder
from sweeper.store.processes import process_identity

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sweeper.plan.expand import Training


def training() -> Training:
    space = "name: t\ntrial:\n  source: A\n  method: {name: desam}\n"
    return plan_of(space).trainings[0]


def scored(path: Path, n_empty: int) -> tuple[TrainingFolder, Training]:
    one, folder = training(), TrainingFolder(path)
    scores = [
        {"dice": 0.9, "protocol": "desam2024", "domain": "A"},  # source validation: not the target
        {"dice": 0.25, "protocol": "desam2024", "domain": "B"},
        {"dice": 0.75, "protocol": "strict", "domain": "B"},
    ]
    folder.write(
        f"evaluations/{one.evaluations[0].eval_id}/scores",
        {"scores": scores, "n_slices": 10, "n_empty_slices": n_empty},
    )
    return folder, one


def test_the_dice_of_the_target_cases_alone_is_told(tmp_path: Path) -> None:
    assert score_note(*scored(tmp_path, n_empty=5)) == "target Dice 25.0"


@pytest.mark.parametrize("n_empty", [6, 10])
def test_a_method_that_left_most_slices_empty_is_said_to(tmp_path: Path, n_empty: int) -> None:
    said = score_note(*scored(tmp_path, n_empty))
    assert said == f"target Dice 25.0; no mask in {n_empty} of 10 slices"


def test_a_training_without_a_scoring_has_no_note(tmp_path: Path) -> None:
    assert score_note(TrainingFolder(tmp_path), training()) == ""


class Silent:
    """A display, and a tracker, that keep to themselves."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


def listener_of(root: Path) -> tuple[SweepListener, str]:
    one = training()
    ledger = Ledger(root)
    listener = SweepListener("t", PlannedTrainings([one], ledger), ledger, Silent(), Silent())
    listener.expect(one)
    return listener, one.train_id


def test_a_lost_training_comes_again_while_it_progresses_between_losses(
    tmp_path: Path,
) -> None:
    listener, train_id = listener_of(tmp_path)
    loss = FailureReason.LOST_NODE, "its machine was lost"
    for reached in (0, 4):
        listener.on_epoch(train_id, {"epoch": reached})
        listener.on_end(train_id, TrialOutcome.LOST, loss)
        assert listener.again == {train_id}
        assert not listener.failed
        listener.again.clear()
    listener.on_epoch(train_id, {"epoch": 4})  # trained once more from an older checkpoint
    listener.on_end(train_id, TrialOutcome.LOST, loss)
    assert not listener.again
    assert "its machine was lost" in listener.failed[train_id]


@pytest.mark.parametrize(("owner", "comes_again"), [(None, True), ("another", False)])
def test_what_an_earlier_process_of_the_sweep_has_comes_again_and_what_another_has_does_not(
    owner: str | None, comes_again: bool, tmp_path: Path
) -> None:
    listener, train_id = listener_of(tmp_path)
    TrainingFolder(tmp_path / train_id).renew_lease(owner or process_identity())
    listener.on_end(train_id, TrialOutcome.TAKEN, None)
    assert listener.held == ({train_id} if comes_again else set())


def test_scores_of_a_former_version_read_as_todays_do(tmp_path: Path) -> None:
    facts = {"case": "b1", "domain": "B", "structure": "s", "protocol": "strict", "n_slices": 5}
    numbers = {"dice": 0.5, "hd95_mm": 3.0, "asd_mm": 1.0}
    folder = TrainingFolder(tmp_path)
    folder.write("evaluations/former/scores", {"scores": [{**facts, **numbers}], "seconds": 1.0})
    folder.write("evaluations/now/scores", {"scores": [{**facts, "values": numbers}], "seconds": 1})
    assert folder.evaluation("former") == folder.evaluation("now")
    assert folder.evaluation("now")["scores"][0]["values"] == numbers


def test_other_code_in_a_worker_stops_the_sweep(tmp_path: Path) -> None:
    listener, train_id = listener_of(tmp_path)
    message = "training code is a here, but the plan was made with b"
    failure = {"reason": "code_changed", "message": message, "traceback_hash": "h", "log_path": "l"}
    Ledger(tmp_path).folder(train_id).write("failure", failure)
    assert listener.on_end(train_id, TrialOutcome.FAILED, None)
    assert listener.is_hopeless
    assert message in listener.failed[train_id]
