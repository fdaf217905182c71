"""Looking at what is there, running it again, and tidying it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from toy_plan import FACTS

from sweeper.cli import cli
from sweeper.config.sweep import check_sweep
from sweeper.config.yaml_reader import parse_yaml
from sweeper.errors import ConfigError
from sweeper.pipeline.status import find_removable, forget_failures, last_lines
from sweeper.plan.expand import make_plan
from sweeper.plan.states import Cell, State, cells_of
from sweeper.records import FailureReason
from sweeper.store.ledger import Ledger, TrainingFolder
from sweeper.store.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

SPACE = "name: t\nseeds: [0, 1]\ntrial:\n  source: A\n  method: {name: desam}\n"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Seed 0 is done, seed 1 has failed; both left a checkpoint, one half a file."""
    opened = Workspace.open(tmp_path / "workspace")
    for folder, is_done in zip(folders(opened), (True, False), strict=True):
        folder.write("config", {"identity": {}, "config": {}, "name": "x"})
        (folder.path / "last.pt").write_bytes(b"0" * 1000)
        (folder.path / "best.pt").write_bytes(b"0" * 1000)
        if is_done:
            folder.write("fit", {"seconds": 1.0})
            (folder.path / ".last.pt.77.tmp").write_bytes(b"0" * 500)
        else:
            folder.fail(FailureReason.BUG, "KeyError: 'x'")
            folder.log.write_text("".join(f"line {i}\n" for i in range(50)))
    (opened.logs / "ray" / "old").mkdir(parents=True)
    return opened


def folders(workspace: Workspace) -> list[TrainingFolder]:
    plan = make_plan("t", check_sweep(parse_yaml(SPACE)).trials, lambda _: FACTS)
    return [Ledger(workspace.trainings).folder(t.train_id) for t in plan.trainings]


def cells(workspace: Workspace) -> list[Cell]:
    plan = make_plan("t", check_sweep(parse_yaml(SPACE)).trials, lambda _: FACTS)
    return cells_of(plan, Ledger(workspace.trainings))


def test_a_failed_training_shows_the_last_lines_of_its_log(workspace: Workspace) -> None:
    done, failed = cells(workspace)
    assert failed.state is State.FAILED
    assert failed.note == "bug: KeyError: 'x'"
    assert last_lines(workspace, failed, 3) == ["line 47", "line 48", "line 49"]
    assert last_lines(workspace, done) == []


def test_a_retry_keeps_the_checkpoint_and_refuses_when_nothing_has_failed(
    workspace: Workspace,
) -> None:
    assert forget_failures(cells(workspace), workspace) == 1
    assert cells(workspace)[1].state is State.MISSING
    assert (folders(workspace)[1].path / "last.pt").is_file()
    with pytest.raises(ConfigError, match="no training of this sweep has failed"):
        forget_failures(cells(workspace), workspace)


def test_only_what_no_result_needs_is_rubbish(workspace: Workspace) -> None:
    done, _ = folders(workspace)
    found = find_removable(workspace)
    assert set(found.files) == {
        done.path / "last.pt",
        done.path / ".last.pt.77.tmp",
        workspace.logs / "ray" / "old",
    }
    assert found.n_bytes == 1500


def test_what_a_running_sweep_is_writing_is_left_alone(workspace: Workspace) -> None:
    _done, failed = folders(workspace)
    failed.renew_lease("somebody")
    (failed.path / ".last.pt.78.tmp").write_bytes(b"0")
    names = {path.name for path in find_removable(workspace).files}
    assert names == {"last.pt", ".last.pt.77.tmp"}


def test_clean_asks_first(workspace: Workspace) -> None:
    words = ["--workspace", str(workspace.root), "clean"]
    refused = CliRunner().invoke(cli, words, input="n\n", standalone_mode=False)
    assert "remove 3 files and folders" in refused.output
    assert len(find_removable(workspace).files) == 3
    CliRunner().invoke(cli, words, input="y\n", standalone_mode=False)
    assert find_removable(workspace).files == ()
    assert (folders(workspace)[0].path / "best.pt").is_file()
