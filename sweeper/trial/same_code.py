"""A worker trains and scores only with the code that the plan was made with.

Hashes come from files as they were when this process first asked for them, which a worker does
before it imports what trains. So they tell what this process runs, whatever is edited later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.errors import CodeChangedError
from sweeper.plan.code_version import scoring_version, training_version

if TYPE_CHECKING:
    from sweeper.plan.job import TrainingJob


def read_code(job: TrainingJob) -> None:
    """Note the code that this process is about to import for a job."""
    training_version(job.config.method.module())
    scoring_version()


def require_same_code(job: TrainingJob) -> None:
    """Refuse to train or to score with other code than the plan was made with.

    The training code counts for a scoring too: it predicts.

    Raises:
        CodeChangedError: With both versions.
    """
    here = training_version(job.config.method.module())
    _require("training", here, job.identity.get("code"))
    if job.evaluations:
        _require("scoring", scoring_version(), job.scoring_code)


def _require(what: str, here: str, planned: str | None) -> None:
    if planned is not None and here != planned:
        raise CodeChangedError(
            f"{what} code is {here} here, the plan was made with {planned}; run the same command"
            " again, which plans anew, with the same code on every machine"
        )
