"""What a worker does with a step of a search: answer from the folder what is known, train the rest.

A search that was killed asks again for everything. A training that has the epochs asked for is not
touched: its records are reported once more, so that schedulers and searchers decide on what they
decided on before.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.engine.worker import train_one
from sweeper.plan.job import TrainingJob
from sweeper.records import FailureReason
from sweeper.store.epoch_records import EPOCHS_FILE, known_epochs
from sweeper.store.ledger import TrainingFolder, read_json

if TYPE_CHECKING:
    from collections.abc import Callable

_TAKEN_TRIES = 60
FINAL = frozenset(
    {FailureReason.BUG, FailureReason.NON_FINITE, FailureReason.DATA, FailureReason.HUNG}
)
"""Failures that come again; `sweeper retry` tries them when their cause is mended."""


def search_one(text: str, memory_bytes: int, report: Callable[[dict[str, Any]], None]) -> str:
    """Run a step of a search; see `train_one` for arguments and words.

    Returns:
        A word of `train_one`, or `paused` where the step's epochs are there and more are to come.
    """
    job = TrainingJob.from_json(text)
    folder = TrainingFolder(Path(job.folder))
    is_asked_again = read_json(folder.path / "asked.json") == {"owner": job.owner}
    known = known_epochs(folder)[: job.until]
    if not is_asked_again:
        for record in known:
            report({**record, "is_known": True})
    wanted = min(job.until or job.config.training.epochs, job.config.training.epochs)
    if folder.pruned() is not None:
        return "pruned"
    failure = folder.failure()
    if failure is not None and FailureReason(failure["reason"]) in FINAL:
        return "failed"
    if known and known[-1]["epoch"] + 1 == wanted:
        if folder.fit() is not None:
            return "completed" if wanted == job.config.training.epochs else "paused"
        if wanted < job.config.training.epochs:
            return "paused"
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write("asked", {"owner": job.owner})
    last = known[-1]["epoch"] if known else -1
    with (folder.path / EPOCHS_FILE).open("a", encoding="utf-8", buffering=1) as file:

        def note_and_report(record: dict[str, Any]) -> None:
            if (
                record["epoch"] > last
            ):  # others were trained again after a crash, with equal numbers
                file.write(json.dumps(record) + "\n")
                report(record)

        word = train_one(text, memory_bytes, note_and_report)
        for _ in range(_TAKEN_TRIES):
            if word != "taken":
                break
            time.sleep(1.0)  # another machine's worker, whose driver was killed: it ends soon
            word = train_one(text, memory_bytes, note_and_report)
    is_paused = word == "pruned" and folder.pruned() is None
    return "paused" if is_paused else word
