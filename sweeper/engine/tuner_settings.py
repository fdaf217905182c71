"""What every Tuner of ours is given: a training's resources, a quiet run with a name of its own."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from ray import tune

if TYPE_CHECKING:
    from pathlib import Path

    from ray.tune import Callback

    from sweeper.engine.ray_tune import Placement

_MAX_PROCESS_DEATHS = 2
"""How often a training whose process died is begun again from its checkpoint (engine.md rule 7)."""


def resources_of(placement: Placement) -> dict[str, float]:
    """What Ray sets aside for one training."""
    resources: dict[str, float] = {"cpu": placement.cpu, "gpu": placement.gpu}
    if placement.memory_bytes:
        resources["memory"] = placement.memory_bytes
    return resources


def run_config(storage: Path, callback: Callback) -> tune.RunConfig:
    """A run with a name that no other has, that prints nothing and tells `callback` all.

    Args:
        storage: A folder for Tune's own state, on a file system that every node sees.
        callback: Told of every event.
    """
    return tune.RunConfig(
        name=f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}",
        storage_path=str(storage),
        verbose=0,
        callbacks=[callback],
        failure_config=tune.FailureConfig(max_failures=_MAX_PROCESS_DEATHS),
    )
