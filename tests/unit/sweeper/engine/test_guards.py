"""What keeps one training from taking what is another's."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
import torch

from sweeper.engine import cluster
from sweeper.engine.cluster import harden
from sweeper.errors import ResourceError
from sweeper.pipeline.running.placement import check_packing, measured_gpu_peak
from sweeper.records import FailureReason, Placement
from sweeper.store.ledger import Ledger
from sweeper.store.processes import has_ended, process_identity, short_identity
from sweeper.trial.failures import loss_of
from sweeper.trial.watchdog import kernel_oom_kills
from sweeper.trial.worker import take_device

if TYPE_CHECKING:
    from pathlib import Path


def placement(gpu: float) -> Placement:
    return Placement(
        cpu=1, gpu=gpu, memory_bytes=0, max_concurrent=2, shares_processes=False, hang_s=600.0
    )


def test_a_packing_that_was_measured_not_to_fit_is_refused_with_the_numbers() -> None:
    with pytest.raises(ResourceError) as caught:
        check_packing(placement(0.5), peak_bytes=7.1e9, card_bytes=12e9)
    assert str(caught.value) == (
        "resources.gpu is 0.5, which packs 2 trainings on a GPU of 12.0 GB, and such a training was"
        " measured at 7.1 GB (+ 0.5 GB for CUDA itself): 1 fits; --set resources.gpu=1, or split"
        " the batches with --set training.accumulate=2"
    )


@pytest.mark.parametrize(("gpu", "peak"), [(0.5, 5.4e9), (1.0, 11.9e9), (0.5, 0.0), (0.0, 9e9)])
def test_what_fits_or_was_never_measured_is_let_through(gpu: float, peak: float) -> None:
    check_packing(placement(gpu), peak_bytes=peak, card_bytes=12e9)


def test_the_peak_is_that_of_trainings_of_the_same_kind_on_a_gpu(tmp_path: Path) -> None:
    from scripted_kinds import training

    ledger = Ledger(tmp_path)
    for name, batch, device, peak in (
        ("same", 8, "NVIDIA X", 3e9),
        ("cpu", 8, "cpu", 9e9),
        ("other batch", 16, "NVIDIA X", 6e9),
    ):
        config = training(batch).config.model_dump(mode="json")
        ledger.folder(name).write("config", {"config": config})
        ledger.folder(name).write("fit", {"device": device, "peak_memory_bytes": peak})
    assert measured_gpu_peak([training(8)], ledger) == 3e9


def test_a_training_on_cores_is_shown_no_gpu_and_one_that_shares_a_gpu_has_its_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shares: list[float] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", shares.append)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    take_device(1.0)
    take_device(0.25)
    assert (shares, os.environ["CUDA_VISIBLE_DEVICES"]) == ([0.25], "0")
    take_device(0.0)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_the_kernels_count_of_processes_killed_for_memory_is_read(tmp_path: Path) -> None:
    events, vmstat = tmp_path / "memory.events", tmp_path / "vmstat"
    vmstat.write_text("pgfault 5\noom_kill 7\n")
    assert kernel_oom_kills((events, vmstat)) == 7
    events.write_text("low 0\noom 3\noom_kill 2\n")
    assert kernel_oom_kills((events, vmstat)) == 2
    assert kernel_oom_kills((tmp_path / "nothing",)) == 0


def test_a_process_is_gone_only_when_it_surely_ended() -> None:
    sleeper = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from sweeper.store.processes import process_identity as identity;"
            " print(identity(), flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert sleeper.stdout is not None
    its_identity = sleeper.stdout.readline().strip()
    assert not has_ended(its_identity)
    sleeper.kill()
    deadline = time.monotonic() + 5
    while not has_ended(its_identity) and time.monotonic() < deadline:  # a zombie counts as gone
        time.sleep(0.01)
    assert has_ended(its_identity)
    sleeper.communicate()
    assert not has_ended(process_identity())
    host, namespace, pid, started = process_identity().split("/")
    assert has_ended(f"{host}/{namespace}/{pid}/{int(started) + 1}")  # the number was given again
    assert not has_ended(f"elsewhere/1/{pid}/{started}")  # nobody here can know
    assert short_identity(process_identity()) == f"{host} pid {pid}"


def test_a_ray_that_does_not_start_in_time_is_one_line_after_a_second_try(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tried: list[str] = []

    def too_late(**options: Any) -> None:
        tried.append(options["_temp_dir"])
        raise Exception(
            "The current node timed out during startup. This could\nhappen"
        )  # as Ray raises it

    monkeypatch.setattr("ray.init", too_late)
    monkeypatch.setattr(cluster, "temporary_root", lambda: tmp_path / "sweeper")
    with pytest.raises(ResourceError) as caught:
        cluster.start(None)
    assert str(caught.value) == (
        "cannot start Ray on this machine (The current node timed out during startup. This could);"
        " if other work keeps it busy, run the same command again later"
    )
    assert len(set(tried)) == 2
    assert list((tmp_path / "sweeper").iterdir()) == []


def test_the_folders_of_killed_sweeps_are_removed_and_those_of_living_ones_are_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    host, namespace, pid, started = process_identity().split("/")
    for name, owner in (
        ("alive", process_identity()),
        ("dead", f"{host}/{namespace}/{pid}/{int(started) + 1}"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "owner").write_text(owner)
    monkeypatch.setattr(cluster, "temporary_root", lambda: tmp_path)
    for name, age_s in (("just_made", 60), ("nameless", 7200)):
        (tmp_path / name).mkdir()
        made = time.time() - age_s
        os.utime(tmp_path / name, (made, made))
    cluster.remove_leftovers()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alive", "just_made"]


class RayLikeError(Exception):
    """Something that Ray raises; only names and texts are looked at."""

    preempted = False


@pytest.mark.parametrize(
    ("name", "text", "preempted", "reason"),
    [
        ("OutOfMemoryError", "low on memory", False, FailureReason.HOST_OOM),
        ("ActorDiedError", "drained", True, FailureReason.PREEMPTED),
        ("ActorDiedError", "its node has died", False, FailureReason.LOST_NODE),
        ("ActorDiedError", "received SIGTERM", False, FailureReason.PREEMPTED),
        ("ActorUnavailableError", "Socket closed", False, FailureReason.LOST_NODE),
    ],
)
def test_a_lost_process_is_told_apart(
    name: str, text: str, preempted: bool, reason: FailureReason
) -> None:
    error = type(name, (RayLikeError,), {"preempted": preempted})(text)
    assert loss_of(error)[0] is reason
    assert loss_of(None)[0] is FailureReason.LOST_NODE


def test_a_kill_by_rays_memory_monitor_ends_one_trial_and_not_the_sweep() -> None:
    from ray.air.execution._internal.actor_manager import RayActorManager
    from ray.exceptions import OutOfMemoryError

    told: list[Any] = []

    class Task:
        class _tracked_actor:  # noqa: N801  # named as Ray names it
            actor_id = 1
            _on_error = staticmethod(lambda actor, error: told.append(error))

        _on_error = None

    class Manager:
        _failed_actor_ids: set[int] = set()  # noqa: RUF012  # as small as can be

        def _cleanup_actor(self, tracked_actor: Any) -> None:
            pass

    assert harden()
    assert harden()  # twice is once
    RayActorManager._actor_task_failed(Manager(), Task(), OutOfMemoryError("low on memory"))
    assert loss_of(told[0])[0] is FailureReason.HOST_OOM
