"""Trainings that follow a script instead of a dataset: everything around `run_trial` is real."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import toy_plan

from sweeper.engine import driver
from sweeper.locks import FileLock
from sweeper.pipeline.running.listen import SweepListener
from sweeper.pipeline.running.retry_loop import RetryLoop
from sweeper.pipeline.running.sources import PlannedTrainings
from sweeper.store.json_file import read_json
from sweeper.store.ledger import Ledger, TrainingFolder
from sweeper.store.processes import process_identity
from sweeper.store.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from desam_model.types import Decision, EpochRecord
    from sweeper.config.trial import TrialConfig
    from sweeper.pipeline.running.sources import TrainingSource
    from sweeper.plan.expand import Plan, Training
    from sweeper.plan.job import TrainingJob
    from sweeper.records import Placement, TrainingRecord, TrialOutcome


def workers_need_not_import(module: str) -> None:
    """Functions of a test module travel to workers by value: no path of theirs leads to it."""
    import ray.cloudpickle  # after sweeper.engine, which tells Ray how to start

    ray.cloudpickle.register_pickle_by_value(sys.modules[module])


workers_need_not_import(__name__)

EPOCHS = 3
LETS_GO_S = 2.0
"""So long a scripted worker waits for an earlier one."""


class OutOfMemoryError(RuntimeError):
    """Named as torch names it."""


class NonFiniteLossError(ValueError):
    """Named as the epoch loop names it."""


def scripted_trial(
    job: TrainingJob, on_epoch: Callable[[EpochRecord], Decision], on_progress: Callable[[], None]
) -> bool:
    """In place of `run_trial`: epochs with a checkpoint each, and what the script says."""
    folder = TrainingFolder(Path(job.folder))
    folder.write("config", {"config": {}, "identity": dict(job.identity), "name": "x"})
    number = number_of(job.config)
    script = folder.path.parent.parent / "scripts" / f"{number}.json"
    words = read_json(script) or ["ok"]
    numbers, epochs = read_json(folder.path / "last.json") or [], []
    for epoch in range(EPOCHS):
        if epoch >= len(numbers):
            _act(words, job, folder, epoch)
            numbers.append(number * 1000 + epoch)  # what an uninterrupted run would have
            folder.write("last", numbers)
        on_epoch(record := epoch_record(epoch, number))
        epochs.append(asdict(record))
    if folder.fit() is None:
        with (folder.path.parent.parent / "ends.txt").open("a") as file:
            file.write(f"{job.train_id}\n")
        fit = {"epochs": epochs, "numbers": numbers, "remedy": job.remedy, "seconds": 0.0}
        folder.write("fit", fit)
    for eval_id in job.evaluations:
        score = {"protocol": "desam2024", "domain": "B", "dice": sum(numbers) / 1e5, "case": "b1"}
        scores = {"scores": [{**score, "structure": "prostate", "hd95_mm": 1.0, "asd_mm": 1.0}]}
        scores["scores"][0]["n_slices"] = 3
        folder.write(f"evaluations/{eval_id}/scores", {**scores, "seconds_per_slice": 0.1})
    return True


def number_of(config: TrialConfig) -> int:
    """What tells trainings apart: of a sweep the seed, of a search the weight decay."""
    return config.seed + int(config.training.weight_decay)


def epoch_record(epoch: int, number: int) -> EpochRecord:
    """The higher the number and the epoch, the better."""
    from desam_model.types import EpochRecord

    return EpochRecord(
        epoch=epoch,
        train_loss=1.0,
        train_loss_parts={"dice": 1.0},
        validation_loss=1.0 - 0.1 * epoch,
        source_dice=0.1 * epoch + 0.01 * number,
        lr=0.1,
        seconds=0.0,
        is_best=True,
    )


def _act(words: Sequence[Any], job: TrainingJob, folder: TrainingFolder, epoch: int) -> None:
    """The script's event, in epoch 1, so that there is a checkpoint to go on from."""
    if words[0] == "slow":
        time.sleep(words[1])
    if epoch != 1:
        return
    if words[0] == "cuda_oom" and job.config.training.accumulate < words[1]:
        raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
    if words[0] == "hog" and job.remedy is None:
        held = bytearray(words[1])
        held[:: os.sysconf("SC_PAGE_SIZE")] = b"x" * len(held[:: os.sysconf("SC_PAGE_SIZE")])
        time.sleep(30)  # the guard ends the process long before
    if words[0] == "disk_full" and not Path(words[1]).exists():
        (folder.path / ".last.json.half").write_text("{")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if words[0] == "fill" and not (folder.path / "filled").exists():
        (folder.path / "filled").touch()
        with contextlib.suppress(OSError), Path(words[1]).open("wb", buffering=0) as ballast:
            while ballast.write(b"x" * 4096):
                pass
    if words[0] == "nan":
        raise NonFiniteLossError("the loss is nan")
    if words[0] == "bug":
        raise KeyError("no such thing")
    if words[0] == "killed" and _times(folder.path / "killed") < words[1]:
        with (folder.path / "killed").open("a") as file:
            file.write("x")
        os.kill(os.getpid(), signal.SIGKILL)


def _times(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def scripted_work(text: str, limit: int, report: Callable[[dict[str, Any]], None]) -> TrialOutcome:
    """What a worker does: our own `train_one`, around a scripted trial."""
    from sweeper.trial import worker

    # in place of the module that imports torch
    sys.modules["sweeper.trial.run_trial"] = SimpleNamespace(run_trial=scripted_trial)
    worker._LETS_GO_S = LETS_GO_S
    return worker.train_one(text, limit, report)


def hold(folder: TrainingFolder, owner: str) -> Callable[[], None]:
    """Have a training as an attempt of `owner` has it; what is returned ends it as a kill does."""
    folder.path.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.path / ".lock")
    lock.take()
    folder.write(
        "attempt", {"owner": owner, "worker": process_identity(), "oom_kills": sys.maxsize}
    )
    folder.renew_lease(owner)
    return lock.release


def mark_of(pid: int) -> str:
    """The mark of another process of this machine."""
    started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return f"{process_identity().rsplit('/', 2)[0]}/{pid}/{started}"


@dataclass
class Told:
    """A display that remembers."""

    lines: list[str] = field(default_factory=list)
    ends: list[tuple[str, str, str]] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.lines.append(text)

    def ended(self, name: str, state: str, note: str) -> None:
        self.ends.append((name, state, note))

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


class Records:
    """A tracker that remembers."""

    def __init__(self) -> None:
        self.records: list[TrainingRecord] = []

    def log_training(self, record: TrainingRecord) -> None:
        self.records.append(record)

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


def plan_of(seeds: int) -> Plan:
    """One cell with so many seeds."""
    return toy_plan.plan_of(
        f"name: t\nseeds: {list(range(seeds))}\ntrial:\n  source: A\n  method: {{name: desam}}\n"
        "  training: {batch_size: 4}\n"
    )


@dataclass
class Sweep:
    """A scripted sweep in a folder.

    Attributes:
        root: The workspace.
        scripts: What each seed does; `ok` where it is not named.
        seeds: How many.
        placement: What each gets.
    """

    root: Path
    scripts: Mapping[int, Sequence[Any]]
    seeds: int
    placement: Placement

    def __post_init__(self) -> None:
        for seed, words in self.scripts.items():
            path = self.root / "scripts" / f"{seed}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(words), encoding="utf-8")
        self.plan = plan_of(self.seeds)
        self.ledger = Ledger(self.root / "trainings")
        self.told, self.tracker = Told(), Records()

    def run(self, trainings: Sequence[Training] | None = None) -> int:
        """Run to the end; the signal that ended it."""
        wanted = self.plan.trainings if trainings is None else trainings
        return self.run_source(PlannedTrainings(wanted, self.ledger))

    def run_source(self, source: TrainingSource) -> int:
        """Run what a source hands out; the signal that ended it."""
        self.listener = SweepListener("t", source, self.ledger, self.tracker, self.told)
        loop = RetryLoop(
            workspace=Workspace(self.root),
            ledger=self.ledger,
            source=source,
            listener=self.listener,
            display=self.told,
            placement=self.placement,
            run_jobs=lambda jobs, placement: driver.run_jobs(
                jobs, placement, self.listener, self.root / "ray", scripted_work
            ),
        )
        return loop.run()

    def folder(self, seed: int) -> TrainingFolder:
        """Of one seed."""
        ids = {t.config.seed: t.train_id for t in self.plan.trainings}
        return self.ledger.folder(ids[seed])

    def reason(self, seed: int) -> str | None:
        """Why a seed failed, or None."""
        failure = self.folder(seed).failure()
        return None if failure is None else failure.reason

    def numbers(self, seed: int) -> list[int] | None:
        """What a seed's training ended with, or None."""
        fit = self.folder(seed).fit()
        return None if fit is None else fit["numbers"]

    def times_ended(self, seed: int) -> int:
        """How often a seed was trained to its end."""
        path = self.root / "ends.txt"
        return path.read_text().split().count(self.folder(seed).train_id) if path.exists() else 0


def expected(seed: int) -> list[int]:
    """What an uninterrupted training ends with."""
    return [seed * 1000 + epoch for epoch in range(EPOCHS)]
