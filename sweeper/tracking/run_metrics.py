"""Names and values of a run's metrics in MLflow's curves and comparison view.

Curves: `train_loss`, `validation_loss`, `source_dice` ... over epochs. Final values of the main
metric: `dice/desam2024/mean`, `dice/desam2024/<target>`, and the same for the other protocols;
summary values keep their names. Dice is in [0, 1] here; the mean pools all target cases.
"""

from __future__ import annotations

import json
import math
import re
from statistics import fmean
from typing import TYPE_CHECKING

from desam_model.scoring.metric_table import MAIN
from desam_model.scoring.protocol_table import PROTOCOLS
from sweeper.config.sources import domains_in
from sweeper.records import is_in_domain_test

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeper.records import TrainingRecord
    from sweeper.tracking.tracker import Score

EVALUATION_TAG = "evaluation."
"""Prefix of the tags that hold the settings of the evaluations."""

DENSE_EPOCHS = 100
"""Up to this epoch every epoch is a point of the curve; later epochs are thinned."""

CURVE = "train_loss"
"""The curve that every training has."""

RunMetric = tuple[str, float, int, int]
"""Key, value, timestamp in ms, step: the order of MLflow's `Metric`."""


def epoch_metrics(
    epochs: Mapping[int, Mapping[str, float]], now_ms: int, last: int | None = None
) -> list[RunMetric]:
    """Points of the curves; `seconds` is renamed because the whole training has one too.

    Every epoch up to `DENSE_EPOCHS`, then every 2nd, from twice as many every 4th ..., and the last
    one. The rule does not depend on the number of epochs, so that it works while a training runs.
    MLflow's pages become slow with some thousand points per run.

    Args:
        epochs: Metrics by the epoch's number, 0-based.
        now_ms: Timestamp of the points, milliseconds.
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
    """Summary values; of the main metric, the first evaluation's per target, and every mean."""
    metrics = [(legal_key(name), value, now_ms, 0) for name, value in record.summary.items()]
    metrics += _selected(record, now_ms)
    labels = _labels(record.evaluations)
    for position, eval_id in enumerate(record.evaluations):
        for protocol in PROTOCOLS:
            by_target = _by_target(record, scores, eval_id, protocol)
            pooled = [
                value
                for target, values in by_target.items()
                if not is_in_domain_test(target)
                for value in values
            ]
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
    """Validation loss and source Dice of the selected epoch."""
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
    """Defined values of the main metric by target domain, without source-validation cases."""
    by_target: dict[str, list[float]] = {}
    is_fold = bool(record.params.get("fold"))
    sources = domains_in(record.params.get("source", ""))
    for score in scores:
        value = score.values.get(MAIN.name, math.nan)
        if score.eval_id != eval_id or score.protocol != protocol or math.isnan(value):
            continue
        if is_fold or score.target not in sources:
            by_target.setdefault(score.target, []).append(value)
    return by_target


def _labels(evaluations: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Settings that differ between a run's evaluations, as ` grid_size 9`; empty if it has one."""
    keys = {key for settings in evaluations.values() for key in settings}
    varying = sorted(
        key for key in keys if len({settings.get(key) for settings in evaluations.values()}) > 1
    )
    return {
        eval_id: "".join(f" {key} {settings.get(key, '')}" for key in varying)
        for eval_id, settings in evaluations.items()
    }


def legal_key(key: str) -> str:
    """A metric's name with only the characters that MLflow allows."""
    return re.sub(r"[^0-9A-Za-z_\-. :/]", "_", key)


def record_tags(record: TrainingRecord, attempt: int) -> dict[str, str]:
    """A run's tags: the record's, the settings of its evaluations, and the failure if any."""
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
