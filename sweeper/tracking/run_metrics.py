"""Names and numbers of what a run shows in MLflow's curves and compare view.

Curves: `train_loss`, `validation_loss`, `source_dice` ... over epochs. Final numbers:
`dice/desam2024/mean`, `dice/desam2024/<target>`, and the same for `strict`, of the main metric;
summary numbers under their own names. Dice here is in [0, 1], the mean is over pooled target cases.
"""

from __future__ import annotations

import json
import math
import re
from statistics import fmean
from typing import TYPE_CHECKING

from desam_model.scoring.metric_table import MAIN
from desam_model.scoring.protocol_table import PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeper.records import TrainingRecord
    from sweeper.tracking.tracker import Score

EVALUATION_TAG = "evaluation."
"""Begins the name of the tag that holds an evaluation's settings."""

DENSE_EPOCHS = 100
"""Epochs of which every one is a point of a curve; later ones are thinned."""

CURVE = "train_loss"
"""The curve that every training has."""

RunMetric = tuple[str, float, int, int]
"""Key, value, timestamp in ms, step: the order of MLflow's `Metric`."""


def epoch_metrics(
    epochs: Mapping[int, Mapping[str, float]], now_ms: int, last: int | None = None
) -> list[RunMetric]:
    """Epochs' numbers as curves, `seconds` renamed to tell it from the whole training's.

    Every epoch up to `DENSE_EPOCHS`, then each 2nd, from twice as many each 4th ... and the last: a
    rule that needs no knowledge of the end, so that it holds while a training runs. MLflow's pages
    become slow with some thousand points a run.

    Args:
        epochs: By number, 0-based.
        now_ms: Time stamp of the points.
        last: Number of the training's last epoch, if it has ended.
    """
    return [
        (legal_key("epoch_seconds" if name == "seconds" else name), value, now_ms, step)
        for step, numbers in epochs.items()
        if step % _stride(step) == 0 or step == last
        for name, value in numbers.items()
    ]


def _stride(step: int) -> int:
    return 1 << (step // DENSE_EPOCHS).bit_length()


def final_metrics(record: TrainingRecord, scores: Sequence[Score], now_ms: int) -> list[RunMetric]:
    """Summary numbers, the main metric by target for the first evaluation, its mean for others."""
    metrics = [(legal_key(name), value, now_ms, 0) for name, value in record.summary.items()]
    metrics += _selected(record, now_ms)
    labels = _labels(record.evaluations)
    for position, eval_id in enumerate(record.evaluations):
        for protocol in PROTOCOLS:
            by_target = _by_target(record, scores, eval_id, protocol)
            pooled = [value for values in by_target.values() for value in values]
            prefix = f"{MAIN.name}/{protocol}"
            if pooled:
                key = f"{prefix}/mean{labels[eval_id]}"
                metrics.append((legal_key(key), fmean(pooled), now_ms, 0))
            if position == 0:
                metrics += [
                    (legal_key(f"{prefix}/{target}"), fmean(values), now_ms, 0)
                    for target, values in by_target.items()
                ]
    return metrics


def _selected(record: TrainingRecord, now_ms: int) -> list[RunMetric]:
    """The source-validation numbers of the epoch whose weights were kept."""
    epoch = int(record.summary.get("selected_epoch", -1))
    if not 0 <= epoch < len(record.epochs):
        return []
    return [
        (f"selected_{name}", record.epochs[epoch][name], now_ms, 0)
        for name in ("validation_loss", "source_dice")
        if name in record.epochs[epoch]
    ]


def _by_target(
    record: TrainingRecord, scores: Sequence[Score], eval_id: str, protocol: str
) -> dict[str, list[float]]:
    """Defined numbers of the main metric by domain, source-validation cases left out."""
    found: dict[str, list[float]] = {}
    is_fold = bool(record.params.get("fold"))
    for score in scores:
        value = score.values.get(MAIN.name, math.nan)
        if score.eval_id != eval_id or score.protocol != protocol or math.isnan(value):
            continue
        if is_fold or score.target != record.params.get("source"):
            found.setdefault(score.target, []).append(value)
    return found


def _labels(evaluations: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """What tells a run's evaluations apart, as ` grid_size 9`; empty where there is one."""
    keys = {key for settings in evaluations.values() for key in settings}
    varying = sorted(
        key for key in keys if len({settings.get(key) for settings in evaluations.values()}) > 1
    )
    return {
        eval_id: "".join(f" {key} {settings.get(key, '')}" for key in varying)
        for eval_id, settings in evaluations.items()
    }


def legal_key(key: str) -> str:
    """A metric's name in the characters that MLflow allows."""
    return re.sub(r"[^0-9A-Za-z_\-. :/]", "_", key)


def record_tags(record: TrainingRecord, attempt: int) -> dict[str, str]:
    """A run's tags: the record's, its evaluations' settings, and why it failed."""
    tags = {
        **record.tags,
        "train_id": record.train_id,
        "sweep": record.sweep,
        "attempt": str(attempt),
    }
    for eval_id, settings in record.evaluations.items():
        tags[f"{EVALUATION_TAG}{eval_id}"] = json.dumps(dict(settings), sort_keys=True)
    if record.failure is not None:
        tags["failure.reason"] = record.failure.reason.value
        tags["failure.message"] = record.failure.message
        tags["failure.log_path"] = record.failure.log_path
    return tags
