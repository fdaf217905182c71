"""The two identities: values that change the weights, and values that change only the scoring."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from desam_model.encoder.registry import encoder_entry
from desam_model.training.default_rates import default_lr
from desam_model.training.folds import FOLD_RULE
from sweeper.config.base import Level
from sweeper.plan.code_version import scoring_version, training_version

if TYPE_CHECKING:
    from sweeper.config.trial import TrialConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts:
    """Facts about the data that the plan needs; the plan itself opens no store.

    Attributes:
        name: Name of the dataset.
        path: Path of its store.
        fingerprint: Fingerprint of its content, which does not depend on its path.
        is_synthetic: True for the phantom.
        domains: Sites or modalities, in order.
        structures: Labelled structures.
        cases: Case ids by domain, in the order of the dataset.
        slices: Number of slices that show a structure, by domain.
        embedding_fingerprint: Fingerprint of the embedding store; None if no method of the sweep
            reads embeddings.
        embeddings: URI of the embedding store, or None.
        checkpoint: Checkpoint that initialises decoders, or None.
        scan_slices: Number of all slices of the scans by domain; empty if they are not kept.
        scan_fingerprint: Fingerprint of the whole scans; empty if they are not kept.
        background: URI of the embeddings of slices that show no structure; None unless scored.
        start: SHA-256 of the checkpoint if the method has its own; None for the encoder's SAM.
    """

    name: str
    path: str
    fingerprint: str
    is_synthetic: bool
    domains: tuple[str, ...]
    structures: tuple[str, ...]
    cases: dict[str, tuple[str, ...]]
    slices: dict[str, int]
    embedding_fingerprint: str | None = None
    embeddings: str | None = None
    checkpoint: str | None = None
    start: str | None = None
    scan_slices: dict[str, int] = field(default_factory=dict)
    scan_fingerprint: str = ""
    background: str | None = None


def canonical_json(values: Any) -> str:
    """JSON that is the same text for equal values: sorted keys, shortest exact numbers."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)


def short_hash(values: Any) -> str:
    """12 hex digits of the SHA-256 of the canonical JSON."""
    return hashlib.sha256(canonical_json(values).encode()).hexdigest()[:12]


def training_identity(config: TrialConfig, data: DataFacts) -> dict[str, Any]:
    """All values that change the weights of a training; their hash is the train_id.

    The learning rate is the resolved one: setting the default explicitly does not change the
    identity, but a change of the default does.
    """
    values = config.at_level(Level.TRAINING)
    reads_embeddings = config.method.reads_embeddings()
    if not reads_embeddings:
        values.pop("encoder", None)
    if data.start is not None:
        values["method"]["start"] = data.start
    neck_channels = encoder_entry(config.encoder.name).neck.channels if reads_embeddings else 0
    default = default_lr(neck_channels)
    lr = default if config.training.lr is None else config.training.lr
    if lr == default:
        values["training"].pop("lr", None)
    identity: dict[str, Any] = {} if config.fold is None else {"folds": FOLD_RULE}
    return identity | {
        "config": values,
        "lr": lr,
        "dataset": data.fingerprint,
        "embedding": data.embedding_fingerprint if reads_embeddings else None,
        "code": training_version(config.method.module()),
    }


def evaluation_identity(train_id: str, config: TrialConfig, data: DataFacts) -> dict[str, Any]:
    """The train_id and all values that change only the scoring; their hash is the eval_id."""
    scans = {"scans": data.scan_fingerprint} if config.evaluation.whole_scan else {}
    return {
        "training": train_id,
        "config": config.at_level(Level.EVALUATION),
        "code": scoring_version(),
        **scans,
    }


def difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    """The reason why a finished training with the same config is stale."""
    names = {
        "dataset": "dataset",
        "embedding": "embeddings",
        "code": "training code",
        "lr": "default learning rate",
        "folds": "rule of the folds",
    }
    changed = []
    for key, text in names.items():
        if key not in old and key in new:
            changed.append(f"the identity now includes the {text} ({new[key]})")
        elif old.get(key) != new.get(key):
            changed.append(f"{text} changed ({old.get(key)} -> {new.get(key)})")
    return ", ".join(changed)
