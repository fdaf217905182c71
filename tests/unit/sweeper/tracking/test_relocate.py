"""A moved workspace: stored file addresses are corrected, and nothing else is changed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sweeper.tracking.relocate import artifact_folder, relocate

ELSEWHERE = "s3://bucket/mlflow-artifacts/ablation"
UNRELATED = "file:///home/user/other/ablation"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    file = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE experiments (name TEXT, artifact_location TEXT)")
        connection.execute("CREATE TABLE runs (name TEXT, artifact_uri TEXT)")
        old = "file:///old%20place/mlflow-artifacts/ablation"
        connection.executemany(
            "INSERT INTO experiments VALUES (?, ?)",
            [("a", old), ("b", ELSEWHERE), ("c", UNRELATED), ("d", None)],
        )
        connection.executemany(
            "INSERT INTO runs VALUES (?, ?)", [(f"r{n}", f"{old}/r{n}/artifacts") for n in (1, 2)]
        )
        connection.commit()
    return file


def rows(database: Path, table: str) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(f"SELECT * FROM {table} ORDER BY name").fetchall()


def test_addresses_of_the_workspace_change_and_all_others_stay(
    database: Path, tmp_path: Path
) -> None:
    root = tmp_path / "new place" / "mlflow-artifacts"
    assert relocate(database, root) == 3
    assert rows(database, "experiments") == [
        ("a", (root / "ablation").as_uri()),
        ("b", ELSEWHERE),
        ("c", UNRELATED),
        ("d", None),
    ]
    assert rows(database, "runs") == [
        (name, (root / "ablation" / name / "artifacts").as_uri()) for name in ("r1", "r2")
    ]
    assert relocate(database, root) == 0


def test_a_runs_folder_is_below_the_current_root() -> None:
    root = Path("/new/mlflow-artifacts")
    uri = "file:///old%20place/mlflow-artifacts/ablation/r1/artifacts"
    assert artifact_folder(uri, root) == root / "ablation" / "r1" / "artifacts"
    # a workspace inside a folder with the same name: the last one counts
    nested = "file:///mlflow-artifacts/ws/mlflow-artifacts/ablation/r1"
    assert artifact_folder(nested, root) == root / "ablation" / "r1"
    assert artifact_folder(UNRELATED, root) == Path("/home/user/other/ablation")


def test_a_damaged_database_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    file.write_bytes(b"not a database" * 100)
    with pytest.raises(sqlite3.Error):
        relocate(file, tmp_path / "mlflow-artifacts")
