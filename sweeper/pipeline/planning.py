"""`sweeper plan`: what a search space needs, what of it is there, and what the rest costs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.config.sweep import load_sweep
from sweeper.pipeline.datasets import DataSource
from sweeper.pipeline.estimate import (
    Estimate,
    estimate,
    kind,
    measured_paces,
    probed_paces,
    wall_seconds,
)
from sweeper.plan.expand import Plan, make_plan
from sweeper.plan.states import Cell, State, cells_of
from sweeper.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeper.pipeline.display import Display
    from sweeper.store.workspace import Workspace

_CHECKPOINT_BYTES_A_PARAMETER = 4 * 4  # weights, best weights and Adam's two moments, float32


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """What a plan says.

    Attributes:
        plan: Trainings and evaluations.
        cells: Where each stands.
        estimate: Cost of what is missing, on this machine.
        workers: Trainings assumed side by side.
        embedding_bytes: Embeddings still to be computed.
        checkpoint_bytes: Weights that the missing trainings will keep; 0 where not known.
        free_bytes: Free on the workspace's disk.
    """

    plan: Plan
    cells: tuple[Cell, ...]
    estimate: Estimate
    workers: int
    embedding_bytes: int
    checkpoint_bytes: int
    free_bytes: int

    @property
    def wall_seconds(self) -> float:
        """Time on the clock for what is missing."""
        todo = sum(cell.state is not State.DONE for cell in self.cells)
        return wall_seconds(self.estimate.training_seconds, self.workers, todo)


def plan_space(
    workspace: Workspace,
    space: Path,
    settings: Sequence[str],
    display: Display,
    *,
    probes: bool,
) -> PlanReport:
    """The plan of a space; nothing is trained, and embeddings are not computed.

    Args:
        workspace: Where things lie.
        space: The YAML file.
        settings: `key=value` overrides.
        display: Told what is probed.
        probes: True to train a few batches of each kind that has not been measured here.
    """
    sweep = load_sweep(space, settings)
    source = DataSource(workspace, display, makes_embeddings=False)
    plan = make_plan(sweep.spec.name, sweep.trials, source.facts)
    ledger = Ledger(workspace.trainings)
    cells = tuple(cells_of(plan, ledger))
    paces = measured_paces(plan.trainings, ledger)
    if probes:
        unknown = [
            cell.training
            for cell in cells
            if cell.state is not State.DONE
            and kind(cell.training) not in paces
            and (cell.training.data.embeddings is None or _is_there(cell.training.data.embeddings))
        ]
        paces |= probed_paces(unknown, display)
    sizes = [_parameters(ledger, cell) for cell in cells]
    known = [size for size in sizes if size]
    missing = sum(not cell.is_trained for cell in cells)
    return PlanReport(
        plan=plan,
        cells=cells,
        estimate=estimate((c for c in cells if c.state is not State.DONE), paces),
        workers=sweep.spec.resources.max_concurrent or os.cpu_count() or 1,
        embedding_bytes=source.missing_bytes,
        checkpoint_bytes=max(known, default=0) * _CHECKPOINT_BYTES_A_PARAMETER * missing,
        free_bytes=workspace.free_bytes(),
    )


def _is_there(embeddings: str) -> bool:
    return (Path(embeddings) / "zarr.json").is_file()


def _parameters(ledger: Ledger, cell: Cell) -> int:
    fit = ledger.folder(cell.training.train_id).fit()
    return 0 if fit is None else int(fit["trainable_parameters"])
