"""Errors that a user can fix; the command line prints one line and exits with the error's code."""

from __future__ import annotations

from typing import ClassVar


class SweeperError(Exception):
    """Base of all expected errors: which value is wrong, what is allowed, what to do."""

    exit_code: ClassVar[int] = 2


class ConfigError(SweeperError):
    """A search space or a setting is wrong."""


class CellError(ConfigError):
    """A trial names something its dataset does not have; the caller adds the file and line.

    Attributes:
        key: The trial's key that holds the value.
        value: The value that the dataset does not have, as it may stand in the space.
    """

    def __init__(self, key: str, value: str | list[str] | None, message: str) -> None:
        super().__init__(message)
        self.key, self.value = key, value


class DataError(SweeperError):
    """A dataset, an image or a label is wrong."""


class StoreError(SweeperError):
    """A dataset or embedding store is missing, incomplete, damaged, or not the expected one."""


class CodeChangedError(SweeperError):
    """A worker's code differs from the code that the plan was made with."""


class WeightsError(SweeperError):
    """A checkpoint is missing or truncated, or its content does not match its name."""


class WorkspaceError(SweeperError):
    """The workspace cannot be used: read-only, full, or in use."""


class ResourceError(SweeperError):
    """No machine of the cluster can run a training."""


class TrackingError(SweeperError):
    """The MLflow store cannot be read or written."""


class DraftError(SweeperError):
    """A final table was requested, but the results allow only a draft."""

    exit_code = 3


class DeclinedError(SweeperError):
    """The user was shown the cost of a run and declined it."""

    exit_code = 0
