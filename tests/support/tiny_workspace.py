"""A workspace with finished trainings on tiny scans: real files, real import, no Ray."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fault_sources as sources
import numpy as np

from desam_model.types import Decision
from sweeper.config.trial import TrialConfig
from sweeper.pipeline.data.importing import import_dataset
from sweeper.pipeline.data.options import ImportOptions
from sweeper.pipeline.data.sources import DataSource
from sweeper.pipeline.display import Silent
from sweeper.plan.expand import make_plan
from sweeper.plan.job import TrainingJob
from sweeper.store.ledger import TrainingFolder
from sweeper.store.workspace import Workspace
from sweeper.trial.run_trial import run_trial

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sweeper.plan.expand import Training

SHAPE = (4, 60, 72)
SITES = {"A-ISBI": "RUNMC", "D-UCL": "UCL"}
"""Domain -> folder of the source."""

DESAM = {"name": "desam"}
UNET = {"name": "unet", "network": {"width": 4, "stages": 3}}


def scan(seed: int, contrast: float = 300.0) -> tuple[np.ndarray, np.ndarray]:
    """Image and label `(z, y, x)`: a bright ball in noise, off the first slice."""
    draw = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    centre_y, centre_x = draw.uniform(26, 34), draw.uniform(32, 40)
    label = (np.hypot(y - centre_y, x - centre_x) < 14) & (z > 0)
    image = draw.normal(200.0, 20.0, SHAPE) + contrast * label
    return image.round().astype(np.int16), label.astype(np.uint8)


def make_source(root: Path, cases: int = 4, folders: Sequence[str] = tuple(SITES.values())) -> Path:
    """Sites in the SAML layout; each has less contrast than the one before."""
    for number, folder in enumerate(folders):
        for index in range(cases):
            image, label = scan(10 * number + index, 300.0 - 120.0 * number)
            sources.write(root / folder / f"Case{index:02d}.nii.gz", image)
            sources.write(root / folder / f"Case{index:02d}_segmentation.nii.gz", label)
    return root


def make_workspace(
    root: Path,
    trials: list[dict[str, object]],
    epochs: int = 3,
    folders: Sequence[str] = tuple(SITES.values()),
) -> Workspace:
    """A workspace at `root / ws` with a finished training per trial; its source is `root / src`."""
    workspace = Workspace.open(root / "ws")
    source = make_source(root / "src", folders=folders)
    import_dataset(source, workspace.datasets / "tiny.zarr", ImportOptions(processes=1))
    for trial in trials:
        values = {
            "source": "A-ISBI",
            "dataset": "tiny",
            "training": {"epochs": epochs, "batch_size": 4},
            "evaluation": {"iou_threshold": -100.0, "min_region_px": 100},
            **trial,
        }
        config = TrialConfig.model_validate(values)
        plan = make_plan("tiny", [config], DataSource(workspace, Silent()).facts)
        for training in plan.trainings:
            train(workspace, training)
    return workspace


def train(
    workspace: Workspace, training: Training, continues: TrainingFolder | None = None
) -> TrainingFolder:
    """Train and score in this process; `continues` is a finished training of fewer epochs."""
    folder = workspace.trainings / training.train_id
    job = TrainingJob(
        train_id=training.train_id,
        identity=training.identity,
        config=training.config,
        evaluations={e.eval_id: e.config for e in training.evaluations},
        dataset=training.data.path,
        embeddings=training.data.embeddings if training.config.method.reads_embeddings() else None,
        folder=str(folder),
        threads=1,
        owner="test",
        continues=None if continues is None else str(continues.path),
    )
    assert run_trial(job, lambda _: Decision.CONTINUE)
    return TrainingFolder(folder)
