"""A training as it crosses to a worker: text and numbers only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeper.config.trial import TrialConfig

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """A training as it crosses to a worker: text and numbers only.

    Attributes:
        train_id: Identity of the training.
        identity: What was hashed to it.
        config: The resolved trial.
        evaluations: The evaluation-level trials by eval_id.
        dataset: Path of the dataset store.
        embeddings: URI of the embedding store, or None if the method reads images only.
        folder: The training's folder.
        threads: CPU threads.
        owner: Who holds the lease, such as a driver's id.
        checkpoint: SAM's checkpoint, from which PRIM and MedSAM's decoder start; None: random.
        until: Pause after so many epochs, for a search that compares there; None: to the end.
        start_from: `FOLDER@EPOCHS`, another training to go on from if this one has not begun.
        gpu: GPUs, or the share of one, that it may use; 0 hides them.
        remedy: How the training is run after it ran out of memory, in words; None: as asked.
        background: URI of the embeddings of slices that show no structure; None if none are read.
        scoring_code: Version of the scoring code that the plan was made with; None where the job
            names no evaluation.
    """

    train_id: str
    identity: Mapping[str, Any]
    config: TrialConfig
    evaluations: Mapping[str, TrialConfig]
    dataset: str
    embeddings: str | None
    folder: str
    threads: int
    owner: str
    checkpoint: str | None = None
    until: int | None = None
    start_from: str | None = None
    gpu: float = 1.0
    remedy: str | None = None
    scoring_code: str | None = None
    background: str | None = None

    def to_json(self) -> str:
        """The job as text."""
        values = {name: getattr(self, name) for name in self.__slots__}
        values["config"] = self.config.model_dump(mode="json")
        values["evaluations"] = {
            key: trial.model_dump(mode="json") for key, trial in self.evaluations.items()
        }
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str) -> TrainingJob:
        """The job in a text that `to_json` made."""
        values = json.loads(text)
        values["config"] = TrialConfig.model_validate(values["config"])
        values["evaluations"] = {
            key: TrialConfig.model_validate(trial) for key, trial in values["evaluations"].items()
        }
        return cls(**values)
