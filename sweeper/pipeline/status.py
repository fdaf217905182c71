"""`sweeper status`, `retry` and `clean`: show states, forget failures, remove old files."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeper.config.sweep import load_sweep
from sweeper.errors import ConfigError
from sweeper.pipeline.data.sources import DataSource
from sweeper.pipeline.plan import placed_errors
from sweeper.pipeline.searching.studies import open_studies, searched_cells
from sweeper.plan.expand import make_plan
from sweeper.plan.states import Cell, State, cells_of
from sweeper.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sweeper.pipeline.display import Display
    from sweeper.store.workspace import Workspace

_LOG_LINES = 20


def status(
    workspace: Workspace, space: Path, settings: Sequence[str], display: Display
) -> list[Cell]:
    """All trainings of a space with their states; those that its searches tried come first."""
    sweep = load_sweep(space, settings)
    facts = DataSource(workspace, display, makes_embeddings=False).facts
    ledger = Ledger(workspace.trainings)
    with placed_errors(sweep):
        studies = open_studies(workspace, sweep, facts)
        winners = [trial for study in studies for trial in study.winning_trials()]
        plan = make_plan(sweep.spec.name, (*sweep.trials, *winners), facts)
    planned = {training.train_id for training in plan.trainings}
    searched = searched_cells(studies, ledger)
    return [c for c in searched if c.training.train_id not in planned] + cells_of(plan, ledger)


def last_lines(workspace: Workspace, cell: Cell, count: int = _LOG_LINES) -> list[str]:
    """The end of a training's log; empty if it has none."""
    log = Ledger(workspace.trainings).folder(cell.training.train_id).log
    if not log.is_file():
        return []
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Removable:
    """Files and folders that `clean` can remove.

    Attributes:
        files: Resume checkpoints of finished trainings, partly written files, and Ray's old log
            folders.
        n_bytes: Their total size.
    """

    files: tuple[Path, ...]
    n_bytes: int


def find_removable(workspace: Workspace) -> Removable:
    """Files that are no longer needed; not results, masks or selected weights."""
    folders = list(Ledger(workspace.trainings))
    files = [
        folder.path / "last.pt"
        for folder in folders
        if folder.fit() is not None and (folder.path / "last.pt").is_file()
    ]
    idle = [folder for folder in folders if folder.lease_owner() is None]
    files += [part for folder in idle for part in _partly_written(folder.path)]
    ray_logs = workspace.logs / "ray"
    if ray_logs.is_dir() and len(idle) == len(folders):  # a running sweep needs its logs
        files += sorted(p for p in ray_logs.iterdir() if p.is_dir())
    return Removable(files=tuple(files), n_bytes=sum(_size(path) for path in files))


def _partly_written(folder: Path) -> list[Path]:
    """Temporary files of a killed worker, which it would have renamed when they were complete."""
    patterns = (".*.tmp", ".*masks.npz", ".*.json.[0-9]*")
    return sorted(path for pattern in patterns for path in folder.rglob(pattern))


def remove(removable: Removable) -> None:
    """Delete the files and folders from `find_removable`."""
    for path in removable.files:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def forget_failures(cells: Sequence[Cell], workspace: Workspace) -> int:
    """Reset failed trainings to missing, without deleting checkpoints; returns their number.

    Raises:
        ConfigError: No training has failed.
    """
    failed = [cell for cell in cells if cell.state is State.FAILED]
    if not failed:
        raise ConfigError("no training of this sweep has failed; see 'sweeper status SPACE'")
    ledger = Ledger(workspace.trainings)
    for cell in failed:
        ledger.folder(cell.training.train_id).remove_records("failure")
    return len(failed)
