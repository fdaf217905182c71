"""Checks that a worker has the same training and scoring code as the plan.

The code is hashed when a process first asks for its version. A worker does so before it imports the
training code, so the hashes describe the code that it runs, even if files are edited later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.errors import CodeChangedError
from sweeper.plan.code_version import scoring_version, training_version

if TYPE_CHECKING:
    from sweeper.plan.job import TrainingJob


def read_code(job: TrainingJob) -> None:
    """Hash the code that this process will import for a job; call it before the import."""
    training_version(job.config.method.module())
    scoring_version()


def require_same_code(job: TrainingJob) -> None:
    """Refuse to train or to score if the code differs from that of the plan.

    The training code is checked for an evaluation too, because it computes the predictions.

    Raises:
        CodeChangedError: The message contains both versions.
    """
    current = training_version(job.config.method.module())
    _require("training", current, job.identity.get("code"))
    if job.evaluations:
        _require("scoring", scoring_version(), job.scoring_code)


def _require(what: str, current: str, planned: str | None) -> None:
    if planned is not None and current != planned:
        raise CodeChangedError(
            f"{what} code is {current} here, but the plan was made with {planned}; run the same"
            " command again to make a new plan, with the same code on all machines"
        )
