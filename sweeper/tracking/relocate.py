"""Corrects MLflow's absolute file addresses after a workspace was moved or copied."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

if TYPE_CHECKING:
    from collections.abc import Iterator

_ADDRESSES = (("experiments", "artifact_location"), ("runs", "artifact_uri"))


def artifact_folder(uri: str, root: Path) -> Path:
    """Folder of a run's files below `root`, even if the workspace was moved after the run.

    Args:
        uri: The address stored by MLflow, `file://.../mlflow-artifacts/SWEEP/RUN/artifacts`.
        root: The workspace's current artifact folder.
    """
    path = Path(unquote(urlparse(uri).path))
    if root.name not in path.parts:
        return path
    last = len(path.parts) - 1 - path.parts[::-1].index(root.name)
    return root.joinpath(*path.parts[last + 1 :])


def relocate(database: Path, root: Path) -> int:
    """Change MLflow's stored addresses to `root`; returns the number of changed addresses.

    Deviation: MLflow has no call for this. Only the two address columns are written, and only
    addresses below a folder with the name of `root`.

    Raises:
        sqlite3.Error: The database cannot be read or written.
    """
    with closing(sqlite3.connect(database, timeout=20)) as connection:
        changes = [
            (table, column, new, old)
            for table, column in _ADDRESSES
            for old, new in _moved(connection, table, column, root)
        ]
        for table, column, new, old in changes:
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (new, old))
        connection.commit()
    return len(changes)


def _moved(
    connection: sqlite3.Connection, table: str, column: str, root: Path
) -> Iterator[tuple[str, str]]:
    """(old, new) for each stored address outside `root`."""
    for (old,) in connection.execute(f"SELECT DISTINCT {column} FROM {table}").fetchall():
        if old and old.startswith("file:"):
            new = artifact_folder(old, root).as_uri()
            if new != old and new.startswith(root.as_uri()):
                yield old, new
