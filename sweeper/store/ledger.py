"""The ledger: one folder a training; what is in it says what is done.

Resume is a set difference over these folders, never a restored Tuner: it survives changed spaces,
moved folders, killed drivers and new versions of Ray. Every file is written whole or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeper.errors import StoreError
from sweeper.records import Failure
from sweeper.store.processes import is_gone, is_here, mark, short

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sweeper.records import FailureReason

LEASE_SECONDS = 60.0
"""A running training renews its lease; after this long without, its worker counts as lost."""


def write_json(path: Path, values: Any) -> None:
    """The values as a JSON file, replaced in one step so that no reader sees half of it.

    Several threads, and processes of several machines, may write the same file: the last one wins.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}")
    text = json.dumps(values, indent=1, sort_keys=True)
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError:  # a full disk: leave nothing half written behind
        temporary.unlink(missing_ok=True)
        raise


def read_json(path: Path) -> Any:
    """The values in a JSON file, or None where there is none.

    Raises:
        StoreError: The file is damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except json.JSONDecodeError as err:
        raise StoreError(f"{path}: damaged ({err}); delete it and run the sweep again") from err


_CASE_KEYS = frozenset({"case", "domain", "structure", "protocol", "n_slices"})
"""What a case's score has beside its metrics."""


def _with_values(score: Mapping[str, Any]) -> Mapping[str, Any]:
    """A case's score with its metrics under `values`, where a former version has them beside."""
    if "values" in score:
        return score
    facts = {key: value for key, value in score.items() if key in _CASE_KEYS}
    return {**facts, "values": {k: v for k, v in score.items() if k not in _CASE_KEYS}}


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
        """The training's own log."""
        return self.path / "log.txt"

    def config(self) -> Mapping[str, Any] | None:
        """What was trained: `{config, identity, name}`; None before the first start."""
        found: Mapping[str, Any] | None = read_json(self.path / "config.json")
        return found

    def fit(self) -> Mapping[str, Any] | None:
        """The finished fit: epochs, selected epoch, seconds ...; None if it has not finished."""
        found: Mapping[str, Any] | None = read_json(self.path / "fit.json")
        return found

    def failure(self) -> Failure | None:
        """Why the last attempt failed; None if it did not.

        Raises:
            StoreError: The record is damaged.
        """
        file = self.path / "failure.json"
        found = read_json(file)
        try:
            return None if found is None else Failure.of(found)
        except (ValueError, AttributeError) as err:
            raise StoreError(f"{file}: damaged ({err}); delete it and run the sweep again") from err

    def fail(self, reason: FailureReason, message: str) -> None:
        """Put down a failure that raised no exception in the training."""
        self.write_failure(
            Failure(
                reason=reason,
                message=message,
                traceback_hash=reason.value,
                log_path=str(self.log),
            )
        )

    def write_failure(self, failure: Failure) -> None:
        """Put down why an attempt failed."""
        self.write("failure", failure.values())

    def pruned(self) -> Mapping[str, Any] | None:
        """At which epoch a scheduler stopped it; None if none did."""
        found: Mapping[str, Any] | None = read_json(self.path / "pruned.json")
        return found

    def epochs(self) -> list[Mapping[str, Any]]:
        """Records of the epochs of a training that has ended: of its fit, or until it was stopped.

        Empty where it has not ended, and where a former version stopped it.
        """
        ended = self.fit() or self.pruned() or {}
        return list(ended.get("epochs", ()))

    def remedy(self) -> Mapping[str, Any] | None:
        """How it is run since it ran out of memory; None if it never did."""
        found: Mapping[str, Any] | None = read_json(self.path / "remedy.json")
        return found

    def evaluation_folder(self, eval_id: str) -> Path:
        """Where one scoring lies."""
        return self.path / "evaluations" / eval_id

    def evaluation(self, eval_id: str) -> Mapping[str, Any] | None:
        """A finished scoring: `{settings, scores}`; None if it is not there.

        Each of the scores is a `CaseScore`, also where a former version wrote its metrics beside
        its other keys.
        """
        found: Mapping[str, Any] | None = read_json(self.evaluation_folder(eval_id) / "scores.json")
        if found is None:
            return None
        return {**found, "scores": [_with_values(score) for score in found.get("scores", ())]}

    def has_evaluation(self, eval_id: str) -> bool:
        """True if a scoring has finished."""
        return (self.evaluation_folder(eval_id) / "scores.json").is_file()

    def write(self, name: str, values: Any) -> None:
        """One of the folder's records, in one step."""
        write_json(self.path / f"{name}.json", values)

    def forget(self, *names: str) -> None:
        """Remove records, such as an old failure before a new attempt."""
        for name in names:
            (self.path / f"{name}.json").unlink(missing_ok=True)

    def renew_lease(self, owner: str) -> None:
        """Say that this process is at work on it now, for `owner`."""
        self.write("lease", {"owner": owner, "worker": mark(), "time": time.time()})

    def lease_owner(self) -> str | None:
        """Who is at work on it, or None if nobody's lease lives.

        A worker of this machine is asked for, so that a stopped or slow one keeps its lease and a
        killed one loses it at once; one of another machine counts as long as it renews.
        """
        lease = read_json(self.path / "lease.json")
        return None if lease is None or _has_ended(lease) else short(str(lease["owner"]))

    def owner_mark(self) -> str | None:
        """The mark of the driver that last had it at work; None if it ended in good order."""
        lease = read_json(self.path / "lease.json")
        return None if lease is None else str(lease["owner"])

    def is_left_over(self, owner: str) -> bool:
        """True if who holds it ends soon: an earlier attempt of `owner`, or of a driver that died.

        When a machine is lost, Ray begins a training again at once, while its old process may live
        on for a while. True also where nobody's lease is there: whoever held it is letting go.
        """
        holder = self.owner_mark()
        return holder is None or holder == owner or is_gone(holder)

    def is_lost(self) -> bool:
        """True if somebody was at work on it and is gone without a word."""
        lease = read_json(self.path / "lease.json")
        return lease is not None and _has_ended(lease)

    def remove_checkpoints(self) -> int:
        """Delete weights that only a resume needs; the number of bytes freed."""
        freed = 0
        for name in ("last.pt",):
            file = self.path / name
            if file.is_file():
                freed += file.stat().st_size
                file.unlink()
        return freed


def _has_ended(lease: Mapping[str, Any]) -> bool:
    worker = str(lease.get("worker", ""))
    if is_here(worker):
        return is_gone(worker)
    return bool(time.time() - lease["time"] > LEASE_SECONDS)


@dataclass(frozen=True, slots=True)
class Ledger:
    """All trainings of a workspace.

    Attributes:
        root: The `trainings` folder.
    """

    root: Path

    def folder(self, train_id: str) -> TrainingFolder:
        """One training's folder, which need not exist yet."""
        return TrainingFolder(self.root / train_id)

    def __iter__(self) -> Iterator[TrainingFolder]:
        """Every training ever started, by id."""
        if self.root.is_dir():
            for path in sorted(self.root.iterdir()):
                if path.is_dir():
                    yield TrainingFolder(path)

    def remove(self, train_id: str) -> None:
        """Delete a training and all of its scorings."""
        shutil.rmtree(self.root / train_id, ignore_errors=True)
