"""Raised epochs continue the finished training, from the plan to the weights."""

from __future__ import annotations

import pytest
import tiny_workspace as tiny
import torch

from desam_model.training.state import load_weights
from sweeper.cli.terminal.plan_text import extension_lines
from sweeper.pipeline.display import Silent
from sweeper.pipeline.plan import plan_space
from sweeper.pipeline.running.retry_loop import RetryLoop
from sweeper.records import Placement
from sweeper.store.ledger import Ledger
from sweeper.trial.bits import weights_digest
from sweeper.trial.remedy import Remedy

SPACE = """
name: longer
trial:
  source: A-ISBI
  dataset: tiny
  method: {name: unet, network: {width: 4, stages: 3}}
  training: {epochs: 3, batch_size: 4, lr_decay: DECAY}
  evaluation: {iou_threshold: -100.0, min_region_px: 100}
"""
PLACEMENT = Placement(
    cpu=1, gpu=0, memory_bytes=0, max_concurrent=1, shares_processes=False, hang_s=600
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Two finished trainings: one epoch with a constant rate, two with the default decay."""
    before = torch.get_num_threads()
    root = tmp_path_factory.mktemp("continue")
    trials = [
        {"method": tiny.UNET, "training": {"epochs": n, "batch_size": 4, "lr_decay": decay}}
        for n, decay in ((1, "constant"), (2, "poly"))
    ]
    yield tiny.make_workspace(root, trials)
    torch.set_num_threads(before)


def report(workspace, tmp_path, decay):
    path = tmp_path / "longer.yaml"
    path.write_text(SPACE.replace("DECAY", decay))
    return plan_space(workspace, path, (), Silent(), probes=False)


def test_a_raised_number_of_epochs_continues_and_gives_the_weights_of_a_new_training(
    workspace, tmp_path
):
    made = report(workspace, tmp_path, "constant")
    ((train_id, extension),) = made.continued.items()
    assert list(extension_lines(made)) == ["  1 of them continue a finished training of 1 epoch"]
    ledger = Ledger(workspace.trainings)
    shorter = ledger.folder(extension.train_id)
    loop = RetryLoop(
        workspace=workspace, ledger=ledger, source=None, listener=None, display=Silent(),
        placement=PLACEMENT, run_jobs=None, continues={train_id: shorter.train_id},
    )  # fmt: skip
    (training,) = made.plan.trainings
    assert loop.job(training, Remedy()).continues == str(shorter.path)
    assert loop.job(training, Remedy(accumulate=2, reasons=("cuda_oom",))).continues is None
    folder = tiny.train(workspace, training, continues=shorter)
    assert folder.continues()["epochs"] == 1
    assert len(folder.epochs()) == 3
    assert folder.epochs()[0]["seconds"] == shorter.epochs()[0]["seconds"]  # not trained again
    continued = weights_digest(load_weights(folder.path / "best.pt"))
    scores = [folder.evaluation(e)["scores"] for e in folder.evaluations()]
    ledger.remove(train_id)
    anew = tiny.train(workspace, training)
    assert anew.continues() is None
    assert weights_digest(load_weights(anew.path / "best.pt")) == continued
    assert [anew.evaluation(e)["scores"] for e in anew.evaluations()] == scores


def test_a_state_that_is_gone_means_training_from_the_start(workspace, tmp_path, capsys):
    (training,) = report(workspace, tmp_path, "linear").plan.trainings
    folder = tiny.train(workspace, training, continues=Ledger(tmp_path).folder("gone"))
    assert "not continued from gone" in capsys.readouterr().out
    assert len(folder.epochs()) == 3


def test_a_decaying_rate_says_why_not_and_what_training_anew_costs(workspace, tmp_path):
    made = report(workspace, tmp_path, "poly")
    assert made.continued == {}
    why, price = extension_lines(made)
    assert why == (
        "  1 of them cannot continue one of fewer epochs: the learning rate decays over all epochs"
        " (lr_decay: poly), so the first 2 of 3 have other rates"
    )
    assert price.startswith("  training these anew takes ")
    seconds = next(iter(made.paces.values())).slice_seconds
    n_slices = made.plan.trainings[0].data.slices["A-ISBI"]
    assert made.anew_seconds >= 3 * n_slices * seconds > 0
