"""A run's checksum: a tag over all that a report reads of the run from MLflow's database.

SQLite has no checksums, so a changed byte in it would become a number of a table. Tags that a
person adds in MLflow's pages are not covered; runs of earlier versions have no checksum.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sweeper.sealed import digest_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

CHECKSUM_TAG = "checksum"
"""The digest, then the names of the tags that it covers; empty while the run is being written."""

ROWS_TAG = "rows_sha256"
"""SHA-256 of the run's file of scores."""

_MLFLOWS_OWN = "mlflow."
_EVALUATION = "evaluation."


def run_checksum(
    params: Mapping[str, str], tags: Mapping[str, str], metrics: Mapping[str, float]
) -> str:
    """The value of the tag `CHECKSUM_TAG` for these contents of a run."""
    names = sorted(
        {
            _name(key)
            for key in tags
            if not key.startswith(_MLFLOWS_OWN) and key not in ("", CHECKSUM_TAG)
        }
    )
    return " ".join([_digest(params, tags, metrics, names), *names])


def is_unchanged(
    params: Mapping[str, str], tags: Mapping[str, str], metrics: Mapping[str, float]
) -> bool:
    """False if a run is not as it was written; True also if it has no checksum."""
    recorded, *names = tags.get(CHECKSUM_TAG, "").split(" ")
    return recorded in ("", _digest(params, tags, metrics, names))


def rows_checksum(content: bytes) -> str:
    """The value of the tag `ROWS_TAG` for the content of a file of scores."""
    return hashlib.sha256(content).hexdigest()


def is_written(file: Path, recorded: str) -> bool:
    """False if a file of scores is not as it was written; True also if nothing is recorded."""
    return not recorded or (file.is_file() and rows_checksum(file.read_bytes()) == recorded)


def _name(key: str) -> str:
    """A tag's name; the settings of all evaluations count as one tag."""
    return _EVALUATION if key.startswith(_EVALUATION) else key


def _digest(
    params: Mapping[str, str],
    tags: Mapping[str, str],
    metrics: Mapping[str, float],
    names: Collection[str],
) -> str:
    covered = {key: value for key, value in tags.items() if _name(key) in names}
    return digest_of([dict(params), covered, {k: repr(v) for k, v in metrics.items()}])
