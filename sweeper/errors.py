"""Errors that a person can mend; the command line prints one line and exits with their code."""

from __future__ import annotations

from typing import ClassVar


class SweeperError(Exception):
    """Base of all expected errors: which value is wrong, what is allowed, what to do."""

    exit_code: ClassVar[int] = 2


class ConfigError(SweeperError):
    """A search space or a setting is wrong."""


class CellError(ConfigError):
    """A trial names what its dataset does not have; whoever knows the file adds the line.

    Attributes:
        key: Key of the trial.
        value: The value.
    """

    def __init__(self, key: str, value: str | None, message: str) -> None:
        super().__init__(message)
        self.key, self.value = key, value


class DataError(SweeperError):
    """A dataset, an image or a label is wrong."""


class StoreError(SweeperError):
    """A dataset or embedding store is missing, incomplete, foreign or damaged."""


class CodeChangedError(SweeperError):
    """A worker has other code than the plan was made with."""


class WeightsError(SweeperError):
    """A checkpoint is missing, truncated or not what its name says."""


class WorkspaceError(SweeperError):
    """The workspace cannot be used: read-only, full, or in use."""


class ResourceError(SweeperError):
    """No machine of the cluster can run a training."""


class TrackingError(SweeperError):
    """The MLflow store cannot be read or written."""


class DraftError(SweeperError):
    """A final table was asked for, and the results do not allow one."""

    exit_code = 3


class DeclinedError(SweeperError):
    """A person was shown what a run will cost, and said no."""

    exit_code = 0
