"""The ledger of trainings: one folder per training; its files say what is finished.

A resume is a set difference over these folders, never a restored Tuner: it survives changed spaces,
moved folders, killed drivers and new Ray versions. Every file is written atomically.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeper.errors import StoreError
from sweeper.records import Failure
from sweeper.store.json_file import read_json, write_json
from sweeper.store.processes import has_ended, is_local, process_identity, short_identity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sweeper.records import FailureReason

LEASE_SECONDS = 60.0
"""A running training renews its lease; after this long without a renewal its worker is lost."""


_CASE_KEYS = frozenset({"case", "domain", "structure", "protocol", "n_slices"})
"""Keys of a case's score that are not metrics."""


def _with_values(score: Mapping[str, Any]) -> Mapping[str, Any]:
    """A case's score with its metrics under `values`; an earlier version had them at the top."""
    if "values" in score:
        return score
    attributes = {key: value for key, value in score.items() if key in _CASE_KEYS}
    return {**attributes, "values": {k: v for k, v in score.items() if k not in _CASE_KEYS}}


@dataclass(frozen=True, slots=True)
class TrainingFolder:
    """One training on disk.

    Attributes:
        path: `trainings/<train_id>`.
    """

    path: Path

    @property
    def train_id(self) -> str:
        """Identity of the training."""
        return self.path.name

    @property
    def log(self) -> Path:
        """The training's log file."""
        return self.path / "log.txt"

    def config(self) -> Mapping[str, Any] | None:
        """What is trained: `{config, identity, name}`; None before the first start."""
        values: Mapping[str, Any] | None = read_json(self.path / "config.json")
        return values

    def fit(self) -> Mapping[str, Any] | None:
        """Result of the finished fit: epochs, selected epoch, seconds ...; None if unfinished."""
        values: Mapping[str, Any] | None = read_json(self.path / "fit.json")
        return values

    def failure(self) -> Failure | None:
        """Why the last attempt failed; None if it did not fail.

        Raises:
            StoreError: The record is damaged.
        """
        file = self.path / "failure.json"
        values = read_json(file)
        try:
            return None if values is None else Failure.of(values)
        except (ValueError, AttributeError) as err:
            raise StoreError(f"{file}: damaged ({err}); delete it and run the sweep again") from err

    def fail(self, reason: FailureReason, message: str) -> None:
        """Record a failure that did not raise an exception in the training."""
        self.write_failure(
            Failure(
                reason=reason,
                message=message,
                traceback_hash=reason.value,
                log_path=str(self.log),
            )
        )

    def write_failure(self, failure: Failure) -> None:
        """Record why an attempt failed."""
        self.write("failure", failure.values())

    def pruned(self) -> Mapping[str, Any] | None:
        """The epoch at which a scheduler stopped it; None if none did."""
        values: Mapping[str, Any] | None = read_json(self.path / "pruned.json")
        return values

    def epochs(self) -> list[Mapping[str, Any]]:
        """Records of the epochs of a training that has ended: of its fit, or until it was stopped.

        Empty where it has not ended, and where a former version stopped it.
        """
        ended = self.fit() or self.pruned() or {}
        return list(ended.get("epochs", ()))

    def continues(self) -> Mapping[str, Any] | None:
        """The shorter training that it continues: `{train_id, epochs, seconds}`; None if none."""
        values: Mapping[str, Any] | None = read_json(self.path / "continues.json")
        return values

    def has_state(self) -> bool:
        """True if the state after its last epoch exists, for a resume or for more epochs."""
        return (self.path / "last.pt").is_file()

    def remedy(self) -> Mapping[str, Any] | None:
        """How it is run after it ran out of memory; None if it never did."""
        values: Mapping[str, Any] | None = read_json(self.path / "remedy.json")
        return values

    def add_machine(self, machine: Mapping[str, str]) -> None:
        """Record a machine that trains it; a resume elsewhere adds another one."""
        known = self.machines()
        if dict(machine) not in known:
            self.write("machines", [*known, dict(machine)])

    def machines(self) -> list[Mapping[str, str]]:
        """The machines that trained it; empty for trainings of before they were recorded."""
        return list(read_json(self.path / "machines.json") or ())

    def evaluation_folder(self, eval_id: str) -> Path:
        """Folder of one evaluation."""
        return self.path / "evaluations" / eval_id

    def evaluation(self, eval_id: str) -> Mapping[str, Any] | None:
        """A finished evaluation: `{settings, scores}`; None if there is none.

        Each score has its metrics under `values`, also if an earlier version wrote the file.
        """
        values: Mapping[str, Any] | None = read_json(
            self.evaluation_folder(eval_id) / "scores.json"
        )
        if values is None:
            return None
        return {**values, "scores": [_with_values(score) for score in values.get("scores", ())]}

    def evaluations(self) -> tuple[str, ...]:
        """The eval_ids of all finished evaluations, whichever plan wanted them."""
        return tuple(sorted(f.parent.name for f in self.path.glob("evaluations/*/scores.json")))

    def has_evaluation(self, eval_id: str) -> bool:
        """True if an evaluation has finished."""
        return (self.evaluation_folder(eval_id) / "scores.json").is_file()

    def write(self, name: str, values: Any) -> None:
        """Write one of the folder's records, `<name>.json`, atomically."""
        write_json(self.path / f"{name}.json", values)

    def remove_records(self, *names: str) -> None:
        """Delete records, such as an old failure before a new attempt."""
        for name in names:
            (self.path / f"{name}.json").unlink(missing_ok=True)

    def renew_lease(self, owner: str) -> None:
        """Record that this process works on it now, for `owner`."""
        self.write("lease", {"owner": owner, "worker": process_identity(), "time": time.time()})

    def lease_owner(self) -> str | None:
        """Who works on it, as `host pid 123`; None if no lease is valid.

        The lease of a worker on this machine is valid while its process exists, however slow it
        is. The lease of a worker on another machine is valid while the worker renews it.
        """
        lease = read_json(self.path / "lease.json")
        return (
            None
            if lease is None or _lease_has_ended(lease)
            else short_identity(str(lease["owner"]))
        )

    def lease_owner_identity(self) -> str | None:
        """Identity of the driver that last ran it; None if the training ended normally."""
        lease = read_json(self.path / "lease.json")
        return None if lease is None else str(lease["owner"])

    def is_lease_ending(self, owner: str) -> bool:
        """True if the lease's holder ends soon: an old attempt of `owner`, or of a dead driver.

        When a machine is lost, Ray restarts the training at once, while the old process may still
        run for a while. Also true if there is no lease: its holder is just releasing it.
        """
        holder = self.lease_owner_identity()
        return holder is None or holder == owner or has_ended(holder)

    def is_lost(self) -> bool:
        """True if a worker held the lease and ended without releasing it."""
        lease = read_json(self.path / "lease.json")
        return lease is not None and _lease_has_ended(lease)

    def remove_checkpoints(self) -> int:
        """Delete weights that only a resume needs; returns the number of bytes freed."""
        freed = 0
        for name in ("last.pt",):
            file = self.path / name
            if file.is_file():
                freed += file.stat().st_size
                file.unlink()
        return freed


def _lease_has_ended(lease: Mapping[str, Any]) -> bool:
    worker = str(lease.get("worker", ""))
    if is_local(worker):
        return has_ended(worker)
    return bool(time.time() - lease["time"] > LEASE_SECONDS)


@dataclass(frozen=True, slots=True)
class Ledger:
    """All trainings of a workspace.

    Attributes:
        root: The `trainings` folder.
    """

    root: Path

    def folder(self, train_id: str) -> TrainingFolder:
        """Folder of one training, which need not exist yet."""
        return TrainingFolder(self.root / train_id)

    def __iter__(self) -> Iterator[TrainingFolder]:
        """Every training ever started, ordered by id."""
        if self.root.is_dir():
            for path in sorted(self.root.iterdir()):
                if path.is_dir():
                    yield TrainingFolder(path)

    def remove(self, train_id: str) -> None:
        """Delete a training and all of its evaluations."""
        shutil.rmtree(self.root / train_id, ignore_errors=True)
