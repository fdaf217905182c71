"""`sweeper verify`: repeats random trainings of a bundle and says whether they agree with it."""

from __future__ import annotations

import csv
import io
import json
import math
import random
import shutil
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError

from desam_model.scoring.metric_table import MAIN
from desam_model.training.state import load_weights
from desam_model.types import Decision
from sweeper.config.trial import TrialConfig
from sweeper.errors import DataError, StoreError, SweeperError
from sweeper.pipeline.bundling.archive import read_archive
from sweeper.pipeline.bundling.bundle import FORMAT, MANIFEST, ROWS
from sweeper.pipeline.bundling.contents import TRAININGS
from sweeper.pipeline.data.sources import DataSource
from sweeper.plan.expand import make_plan
from sweeper.plan.identity import difference, short_hash
from sweeper.plan.job import TrainingJob
from sweeper.report.statistics.agreement import seed_spread
from sweeper.store.dataset.inventory import dataset_with
from sweeper.store.ledger import TrainingFolder
from sweeper.trial.bits import weights_digest
from sweeper.trial.run_trial import run_trial

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from desam_model.types import EpochRecord
    from sweeper.pipeline.display import Display
    from sweeper.plan.expand import Training
    from sweeper.report.statistics.agreement import SeedSpread
    from sweeper.store.workspace import Workspace

Place = tuple[str, ...]
"""Target, case, structure, protocol and metric of a value."""


class Agreement(StrEnum):
    """What the repetition of a training says about the bundle."""

    IDENTICAL = "identical"
    WITHIN = "within the spread of seeds"
    DIFFERENT = "DIFFERENT"
    UNJUDGED = "not judged"
    NOT_REPEATED = "not repeated"

    @property
    def agrees(self) -> bool:
        """True if the repetition confirms the bundle's values."""
        return self in (Agreement.IDENTICAL, Agreement.WITHIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One repeated training.

    Attributes:
        train_id: Identity of the training.
        name: Its name for people.
        agreement: The result.
        reason: What it rests on.
    """

    train_id: str
    name: str
    agreement: Agreement
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The result of a verification.

    Attributes:
        checks: The repeated trainings.
        n_trainings: Trainings of the bundle that can be repeated.
        seed: Seed of the choice.
    """

    checks: tuple[Check, ...]
    n_trainings: int
    seed: int

    @property
    def agrees(self) -> bool:
        """True if every chosen training was repeated and agrees."""
        return all(check.agreement.agrees for check in self.checks)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bundle:
    """A bundle that was read.

    Attributes:
        protocol: Protocol of its table, whose mean Dice is compared on other machines.
        records: Train id -> record of the training.
        values: (Train id, eval id) -> its values.
    """

    protocol: str
    records: Mapping[str, Mapping[str, Any]]
    values: Mapping[tuple[str, str], Mapping[Place, float]]

    def mean_dice(self, values: Mapping[Place, float]) -> float:
        """Mean Dice (%) over the cases under the table's protocol; nan if there is none."""
        dice = [v for (*_, protocol, metric), v in values.items() if metric == MAIN.name
                and protocol == self.protocol and math.isfinite(v)]  # fmt: skip
        return MAIN.scale * fmean(dice) if dice else math.nan

    def spread(self) -> SeedSpread | None:
        """The spread of the seeds of its cells."""
        cells: dict[str, list[float]] = defaultdict(list)
        for train_id, record in self.records.items():
            identity = record["identity"]
            config = {key: value for key, value in identity["config"].items() if key != "seed"}
            for eval_id, evaluation in record["evaluations"].items():
                scoring = [evaluation["settings"], evaluation["target"]]
                cell = short_hash([{**identity, "config": config}, scoring])
                values = self.values.get((train_id, eval_id), {})
                cells[cell].append(self.mean_dice(values))
        return seed_spread(cells.values())


def verify(
    workspace: Workspace, path: Path, display: Display, *, sample: int = 3, seed: int = 0
) -> Verification:
    """Repeat random trainings of a bundle on the data of this workspace.

    Each is trained and scored from the start, in this process, in a folder that is then removed;
    the workspace's own trainings are neither used nor changed. An interrupted verification
    resumes the training that it was at.

    Args:
        workspace: With the data, which is recognised by its fingerprint.
        path: The bundle.
        display: Shows the progress.
        sample: Trainings to repeat; all if there are fewer.
        seed: Seed of the choice.

    Raises:
        DataError: The bundle is damaged, or it has no training.
    """
    bundle = _read(path)
    if not bundle.records:
        raise DataError(f"{path}: has no training that can be repeated; name another bundle")
    names = sorted(bundle.records)
    chosen = random.Random(seed).sample(names, min(sample, len(names)))
    n_compared = sum(len(bundle.records[name]["evaluations"]) for name in chosen)
    threads = torch.get_num_threads()
    try:
        checks = [
            _check(workspace, bundle, train_id, n_compared, display, f"{number}/{len(chosen)}")
            for number, train_id in enumerate(chosen, start=1)
        ]
    finally:
        torch.set_num_threads(threads)
        display.close()
    return Verification(checks=tuple(checks), n_trainings=len(names), seed=seed)


def _read(path: Path) -> _Bundle:
    files = read_archive(path)
    try:
        about = json.loads(files[MANIFEST])
        if about["format"] != FORMAT:
            raise DataError(
                f"{path}: has format {about['format']}, this version reads {FORMAT}; install the"
                " version of sweeper that its README names"
            )
        records = {
            Path(name).stem: json.loads(content)
            for name, content in files.items()
            if name.startswith(f"{TRAININGS}/")
        }
        values: dict[tuple[str, str], dict[Place, float]] = defaultdict(dict)
        for row in csv.DictReader(io.StringIO(files[ROWS].decode())):
            if row["metric"] and row["status"] != "not measured":
                place = tuple(row[k] for k in ("target", "case", "structure", "protocol", "metric"))
                value = float(row["value"]) if row["value"] else math.nan
                values[row["train_id"], row["eval_id"]][place] = value
        for train_id, record in records.items():
            if short_hash(record["identity"]) != train_id:
                raise DataError(f"{path}: the record of training {train_id} is not that training's")
        return _Bundle(protocol=about["protocol"], records=records, values=values)
    except (KeyError, TypeError, ValueError) as err:
        raise DataError(f"{path}: is not a bundle of `sweeper bundle` ({err!r})") from err


def _check(
    workspace: Workspace,
    bundle: _Bundle,
    train_id: str,
    n_compared: int,
    display: Display,
    position: str,
) -> Check:
    record = bundle.records[train_id]
    name = str(record["name"])
    try:
        training = _training(workspace, record, display)
        display.phase(f"{position} repeating {name}")
        folder = _repeat(workspace, training, record, display)
    except (SweeperError, ValueError, RuntimeError) as err:
        reason = str(err).splitlines()[0]
        return Check(train_id=train_id, name=name, agreement=Agreement.NOT_REPEATED, reason=reason)
    agreement, reason = _compare(bundle, record, folder, n_compared)
    shutil.rmtree(folder.path)
    return Check(train_id=train_id, name=name, agreement=agreement, reason=reason)


def _training(workspace: Workspace, record: Mapping[str, Any], display: Display) -> Training:
    """The training as this version plans it on the data here.

    Raises:
        SweeperError: The data, the code or a checkpoint is another one.
    """
    identity = record["identity"]
    try:
        configs = [
            TrialConfig.model_validate(
                {**record["config"], "evaluation": e["settings"], "target": e["target"]}
            )
            for e in record["evaluations"].values()
        ]
    except ValidationError as err:
        raise DataError(
            f"this version does not know its config ({err.errors()[0]['msg']})"
        ) from err
    path = dataset_with(workspace, identity["dataset"], configs[0].dataset)
    trials = []
    for config in configs:
        start = config.method.own_checkpoint()
        update: dict[str, Any] = {} if path is None else {"dataset": str(path)}
        if start is not None:
            moved = {"start": workspace.weights / start.name}
            update["method"] = config.method.model_copy(update=moved)
        trials.append(config.model_copy(update=update))
    plan = make_plan("verify", trials, DataSource(workspace, display).facts)
    for training in plan.trainings:
        if training.train_id == record["train_id"]:
            missing = set(record["evaluations"]) - {e.eval_id for e in training.evaluations}
            if missing:
                raise StoreError("this version scores with other code; install that of the bundle")
            return training
    planned = next(iter(plan.trainings)).identity
    reason = difference(dict(identity), dict(planned)) or "its config has another meaning here"
    raise StoreError(f"here it would be another training: {reason}")


def _repeat(
    workspace: Workspace, training: Training, record: Mapping[str, Any], display: Display
) -> TrainingFolder:
    """Train and score it, with the threads of the record."""
    machines = record["machines"]
    threads = int(machines[-1]["threads"]) if machines else torch.get_num_threads()
    folder = workspace.root / "verifications" / training.train_id
    folder.mkdir(parents=True, exist_ok=True)
    job = TrainingJob(
        train_id=training.train_id,
        identity=training.identity,
        config=training.config,
        evaluations={
            e.eval_id: e.config for e in training.evaluations if e.eval_id in record["evaluations"]
        },
        dataset=training.data.path,
        embeddings=training.data.embeddings if training.config.method.reads_embeddings() else None,
        background=training.data.background,
        folder=str(folder),
        threads=threads,
        owner="verify",
        checkpoint=training.data.checkpoint,
    )

    def on_epoch(epoch: EpochRecord) -> Decision:
        display.advance(epoch.epoch + 1, training.config.training.epochs, "epochs")
        return Decision.CONTINUE

    run_trial(job, on_epoch)
    return TrainingFolder(folder)


def _compare(
    bundle: _Bundle, record: Mapping[str, Any], folder: TrainingFolder, n_compared: int
) -> tuple[Agreement, str]:
    """The agreement of a repeated training with its record, and what it rests on."""
    train_id = record["train_id"]
    known = {
        eval_id: bundle.values.get((train_id, eval_id), {}) for eval_id in record["evaluations"]
    }
    repeated = {eval_id: _values(folder, eval_id) for eval_id in known}
    pairs = [(known[e].get(place), repeated[e].get(place)) for e in known for place in known[e]]
    n_equal = sum(_is_equal(one, other) for one, other in pairs)
    is_complete = bool(pairs) and all(known[e].keys() <= repeated[e].keys() for e in known)
    if not is_complete:
        return Agreement.DIFFERENT, "it was scored on other cases"
    digest = weights_digest(load_weights(folder.path / "best.pt"))
    has_equal_weights = record["weights_sha256"] in (None, digest)
    if n_equal == len(pairs) and has_equal_weights:
        what = "weights and " if record["weights_sha256"] else ""
        return Agreement.IDENTICAL, f"{what}{len(pairs)} values, bit by bit"
    if _is_same_machine(record, folder):
        return Agreement.DIFFERENT, (
            f"{len(pairs) - n_equal} of {len(pairs)} values differ, and processor, threads and"
            " versions are those of the record"
        )
    means = [(bundle.mean_dice(known[e]), bundle.mean_dice(repeated[e])) for e in known]
    return _within_spread(bundle.spread(), means, n_compared)


def _within_spread(
    spread: SeedSpread | None, means: Sequence[tuple[float, float]], n_compared: int
) -> tuple[Agreement, str]:
    first, again = max(means, key=lambda pair: abs(pair[1] - pair[0]))
    dice = f"{MAIN.symbol} {again:.2f}, was {first:.2f}"
    if spread is None:
        return Agreement.UNJUDGED, f"{dice}; no cell of the bundle has two seeds to compare with"
    limit = spread.limit(n_compared)
    is_within = abs(again - first) <= limit
    return Agreement.WITHIN if is_within else Agreement.DIFFERENT, (
        f"{dice}; the limit is ±{limit:.2f} (t test, level .05, {n_compared} comparisons, spread of"
        f" seeds {spread.deviation:.2f} with {spread.freedom} degrees of freedom)"
    )


def _values(folder: TrainingFolder, eval_id: str) -> dict[Place, float]:
    """The values of a repeated scoring."""
    scored = folder.evaluation(eval_id) or {"scores": []}
    return {
        (score["domain"], score["case"], score["structure"], score["protocol"], metric): value
        for score in scored["scores"]
        for metric, value in score["values"].items()
    }


def _is_equal(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return False
    return one == other or (math.isnan(one) and math.isnan(other))


def _is_same_machine(record: Mapping[str, Any], folder: TrainingFolder) -> bool:
    """True if equal bits are to be expected: one processor type throughout, and no GPU."""
    used = [*record["machines"], *(e["machine"] for e in record["evaluations"].values())]
    here = folder.machines()[0]
    return here["device"] == "cpu" and bool(record["machines"]) and all(m == here for m in used)
