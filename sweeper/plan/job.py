"""The description of a training that is sent to a worker: only text and numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeper.config.sweep import HANG_MINUTES
from sweeper.config.trial import TrialConfig

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """The description of a training that is sent to a worker: only text and numbers.

    Attributes:
        train_id: Identity of the training.
        identity: The values whose hash is `train_id`.
        config: The resolved trial.
        evaluations: The evaluation-level trials by eval_id.
        dataset: Path of the dataset store.
        embeddings: URI of the embedding store, or None if the method reads only images.
        folder: The folder of the training.
        threads: Number of CPU threads.
        owner: Owner of the lease, such as the id of a driver.
        checkpoint: SAM checkpoint that initialises PRIM or MedSAM's decoder; None for random
            weights.
        gpu: Number of GPUs, or the fraction of one, that it may use; 0 hides the GPUs.
        remedy: Description of the settings after the training ran out of memory; None for the
            original settings.
        background: URI of the embeddings of slices that show no structure; None if none are read.
        hang_s: Seconds without progress after which it is taken to hang.
        continues: Folder of a finished training of fewer epochs that it continues; None trains
            from the start.
        scoring_code: Version of the scoring code when the plan was made; None if the job has no
            evaluation.
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
    gpu: float = 1.0
    remedy: str | None = None
    scoring_code: str | None = None
    background: str | None = None
    continues: str | None = None
    hang_s: float = 60 * HANG_MINUTES

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
        """The job from the text of `to_json`."""
        values = json.loads(text)
        values["config"] = TrialConfig.model_validate(values["config"])
        values["evaluations"] = {
            key: TrialConfig.model_validate(trial) for key, trial in values["evaluations"].items()
        }
        return cls(**values)
