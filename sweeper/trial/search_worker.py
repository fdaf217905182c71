"""What a worker does with a step of a search: answer from the folder what is known, train the rest.

A search that was killed asks again for everything. A training that has the epochs asked for is not
touched: its records are reported once more, so that schedulers and searchers decide on what they
decided on before.

Deviation: a training of a search that runs out of memory has its batches split at once, where one
of a plain sweep first gets fewer beside it; all studies share one Tuner, whose trials keep the
resources that they began with. The searcher is told of it only when it has ended for good.
"""

from __future__ import annotations

import gc
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.plan.job import TrainingJob
from sweeper.records import FailureReason, TrialOutcome
from sweeper.store.ledger import EPOCHS_FILE, TrainingFolder, known_epochs, read_json
from sweeper.trial.remedy import known_remedy, next_split, split
from sweeper.trial.worker import train_one

if TYPE_CHECKING:
    from collections.abc import Callable

_TAKEN_TRIES = 60
FINAL = frozenset(
    {FailureReason.BUG, FailureReason.NON_FINITE, FailureReason.DATA, FailureReason.HUNG}
)
"""Failures that come again; `sweeper retry` tries them when their cause is mended."""


def search_one(
    text: str, memory_bytes: int, report: Callable[[dict[str, Any]], None]
) -> TrialOutcome:
    """Run a step of a search; see `train_one` for arguments and outcomes.

    Returns:
        As `train_one`, or `PAUSED` where the step's epochs are there and more are to come.
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
        return TrialOutcome.PRUNED
    failure = folder.failure()
    if failure is not None and failure.reason in FINAL:
        return TrialOutcome.FAILED
    is_last = wanted == job.config.training.epochs
    if known and known[-1]["epoch"] + 1 == wanted:
        if folder.fit() is not None and is_last:
            return TrialOutcome.COMPLETED
        if folder.fit() is not None or not is_last:
            return TrialOutcome.PAUSED
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write("asked", {"owner": job.owner})
    seen = {record["epoch"] for record in known}
    with (folder.path / EPOCHS_FILE).open("a", encoding="utf-8", buffering=1) as file:

        def note_and_report(record: dict[str, Any]) -> None:
            if record["epoch"] not in seen:  # else trained again, with equal numbers
                seen.add(record["epoch"])
                file.write(json.dumps(record) + "\n")
                report(record)

        outcome = _train_until_it_fits(job, folder, memory_bytes, note_and_report)
    is_paused = outcome is TrialOutcome.PRUNED and folder.pruned() is None
    return TrialOutcome.PAUSED if is_paused else outcome


def _train_until_it_fits(
    job: TrainingJob,
    folder: TrainingFolder,
    memory_bytes: int,
    report: Callable[[dict[str, Any]], None],
) -> TrialOutcome:
    """As `train_one`; what ran out of memory goes on from its checkpoint with smaller parts."""
    batch, remedy = job.config.training.batch_size, known_remedy(folder, job.config)
    while True:
        text = remedy.text(batch) if remedy else None
        now = replace(job, config=split(remedy, job.config), remedy=text)
        outcome = _train_when_free(now.to_json(), memory_bytes, report)
        failure = folder.failure()
        if outcome is not TrialOutcome.FAILED or failure is None:
            return outcome
        found = next_split(failure.reason, remedy, batch)
        if found is None:
            return outcome
        remedy = found
        gc.collect()  # what the failed attempt still holds in cycles
        folder.write("remedy", remedy.values())
        folder.remove_records("failure")


def _train_when_free(
    text: str, memory_bytes: int, report: Callable[[dict[str, Any]], None]
) -> TrialOutcome:
    outcome = train_one(text, memory_bytes, report)
    for _ in range(_TAKEN_TRIES):
        if outcome is not TrialOutcome.TAKEN:
            break
        time.sleep(1.0)  # another machine's worker, whose driver was killed: it ends soon
        outcome = train_one(text, memory_bytes, report)
    return outcome
