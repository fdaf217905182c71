"""Where a training stands, and why it failed, as records keep it."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from sweeper.errors import StoreError
from sweeper.records import (
    ENDED,
    TRANSITIONS,
    Failure,
    FailureReason,
    TrialOutcome,
    TrialStatus,
)
from sweeper.store.ledger import TrainingFolder

ROOT = Path(__file__).resolve().parents[3] / "sweeper"


def test_every_status_knows_where_every_outcome_leads() -> None:
    assert {(s, o) for s, after in TRANSITIONS.items() for o in after} == {
        (s, o) for s in TrialStatus for o in TrialOutcome
    }


@pytest.mark.parametrize("outcome", TrialOutcome)
def test_what_is_completed_or_pruned_stays_so_and_what_failed_may_be_tried_again(
    outcome: TrialOutcome,
) -> None:
    for status in (TrialStatus.COMPLETED, TrialStatus.PRUNED):
        assert status.after(outcome) is status
    assert TrialStatus.FAILED.after(outcome) is TrialStatus.STARTED.after(outcome)
    is_open = outcome in (TrialOutcome.TAKEN, TrialOutcome.DISK_FULL)
    assert (TrialStatus.STARTED.after(outcome) in ENDED) != is_open


def test_the_texts_are_those_of_old_workspaces() -> None:
    assert [status.value for status in TrialStatus] == ["started", "completed", "pruned", "failed"]
    assert [outcome.value for outcome in TrialOutcome] == [
        "completed",
        "pruned",
        "failed",
        "taken",
        "disk_full",
        "lost",
    ]


def test_a_failure_written_by_an_older_version_is_read(tmp_path: Path) -> None:
    old = {"reason": "hung", "message": "m", "traceback_hash": "hung", "log_path": "/w/log.txt"}
    (tmp_path / "failure.json").write_text(json.dumps(old))
    failure = TrainingFolder(tmp_path).failure()
    assert failure is not None
    assert failure.reason is FailureReason.HUNG
    assert failure.note == "hung: m; log /w/log.txt"
    assert failure.values() == old
    assert Failure.of(old) == failure


def test_a_failure_without_an_exception_is_written_and_read(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path)
    assert folder.failure() is None
    folder.fail(FailureReason.LOST_NODE, "its machine was lost")
    failure = folder.failure()
    assert failure is not None
    assert failure.traceback_hash == "lost_node"
    assert failure.log_path == str(folder.log)


@pytest.mark.parametrize(
    ("values", "why"),
    [({"reason": "bug"}, "is missing"), ([], "has no attribute"), ({"reason": "x"}, "is missing")],
)
def test_a_damaged_failure_is_named_with_its_file(values: object, why: str, tmp_path: Path) -> None:
    (tmp_path / "failure.json").write_text(json.dumps(values))
    with pytest.raises(StoreError, match=rf"failure\.json: damaged .*{why}"):
        TrainingFolder(tmp_path).failure()


def test_no_module_spells_an_outcome_or_a_status_out() -> None:
    words = {str(word) for word in (*TrialOutcome, *TrialStatus)}
    rooms = ("trial", "engine", "search", "plan", "pipeline/running", "pipeline/searching")
    for path in [p for room in rooms for p in sorted((ROOT / room).glob("*.py"))]:
        tree = ast.parse(path.read_text())
        names = {  # a record of that name in a training's folder
            id(argument)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("write", "remove_records")
            for argument in node.args
        }
        found = [
            f"{path.relative_to(ROOT)}:{node.lineno} {node.value!r}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value in words
            and id(node) not in names
        ]
        allowed = "plan/states.py"  # `State` has texts of its own
        assert not found or str(path.relative_to(ROOT)) == allowed
