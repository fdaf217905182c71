"""Every row of the table can learn two cases by heart: the real fit loop, store and scorer.

A method whose loss, gradients or prediction are wrong anywhere stays below. Nothing generalises
here: what is trained on is scored. The base augmentation is off; the methods' own stay.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from toy_cases import case_record, dataset_facts

from desam_model.scoring.evaluate import evaluate
from desam_model.scoring.protocol_table import STRICT
from desam_model.training.fit import fit
from desam_model.training.loader import Loader
from sweeper.config.trial import TrialConfig
from sweeper.factory import build_method, build_schedule
from sweeper.pipeline.data.sources import DataSource
from sweeper.pipeline.display import Silent
from sweeper.store.dataset.store import DatasetStore
from sweeper.store.dataset.writer import NewCase, write_dataset
from sweeper.store.embeddings.store import EmbeddingStore
from sweeper.store.workspace import Workspace
from sweeper.trial.cases import Reader, sizes_of
from sweeper.trial.scoring_settings import build_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES = ("case-0", "case-1")
SLICES = 2
DICE = 0.95

STEPS = 10
"""Optimiser steps per epoch: an epoch shows every slice that often, so that few epochs validate."""

SMALL = {"network": {"width": 8, "stages": 3}, "augmentation": False}
WIDER = {"network": {"width": 16, "stages": 3}, "augmentation": False}
IMAGE = {"epochs": 6, "batch_size": 4, "lr": 1.0e-2}
RANDOMISED = {"epochs": 15, "batch_size": 4, "lr": 4.0e-3}
DECODER = {"epochs": 12, "batch_size": 4, "lr": 8.0e-3}
ROWS: dict[str, tuple[int, dict[str, Any], dict[str, Any]]] = {
    "upper_bound": (32, SMALL, IMAGE),
    "unet": (32, SMALL, IMAGE),
    "advnoise": (32, SMALL, IMAGE),
    "advbias": (32, SMALL, IMAGE),
    "randconv": (32, WIDER, {**RANDOMISED, "epochs": 10}),
    "mixstyle": (32, SMALL, IMAGE),
    "maxstyle": (32, SMALL, IMAGE),
    "csdg": (32, WIDER, RANDOMISED),
    "medsam": (64, {"prompt": "whole_box"}, DECODER),
    "desam whole_box": (64, {"prompt_mode": "whole_box"}, DECODER),
    "desam grid_points": (64, {"prompt_mode": "grid_points"}, DECODER),
}
"""By row the slices' side in px, the method's options and its training; a second word tells two
rows of one method apart. RandConv and CSDG never see a plain slice in training."""


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Tiny tensors: threads cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> DataSource:
    """The two cases as datasets of both sizes."""
    workspace = Workspace.open(tmp_path_factory.mktemp("overfits") / "workspace")
    workspace.datasets.mkdir(parents=True, exist_ok=True)
    for side in {side for side, _, _ in ROWS.values()}:
        cases = [ellipses(number, side) for number in range(len(CASES))]
        write_dataset(workspace.datasets / f"two-{side}.zarr", dataset_facts(f"two-{side}"), cases)
    return DataSource(workspace, Silent())


def ellipses(number: int, side: int) -> NewCase:
    """A case of bright ellipses in a grey body with a shade and noise."""
    draw = np.random.default_rng(number)
    row, column = np.mgrid[:side, :side] / side
    body = ((row - 0.5) / 0.47) ** 2 + ((column - 0.5) / 0.44) ** 2 < 1
    images, labels = [], []
    for _ in range(SLICES):
        (y, x), (height, width) = draw.uniform(0.4, 0.6, 2), draw.uniform(0.16, 0.25, 2)
        gland = ((row - y) / height) ** 2 + ((column - x) / width) ** 2 < 1
        noise = draw.normal(0, 4, (side, side))
        image = (60 + 26 * column) * body + 70 * gland + noise
        images.append(image.clip(0, 255).astype(np.uint8)[None])
        labels.append(gland.astype(np.uint8))
    record = case_record(CASES[number], count=SLICES, px=side, start=number * SLICES)
    return NewCase(record=record, image=np.stack(images), label=np.stack(labels))


def dice_by_case(row: str, source: DataSource, epochs: int | None = None) -> dict[str, float]:
    """Strict Dice of the cases that the row was trained on."""
    side, options, training = ROWS[row]
    config = TrialConfig.model_validate(
        {
            "source": "A",
            "dataset": f"two-{side}",
            "structure": "prostate",
            "method": {"name": row.split()[0], **options},
            "training": training if epochs is None else {**training, "epochs": epochs},
            "seed": 0,
        }
    )
    facts = source.facts(config)
    data = DatasetStore.open(Path(facts.path))
    embeddings = EmbeddingStore.open(facts.embeddings) if facts.embeddings else None
    sizes = sizes_of(data, embeddings)
    method = build_method(config, sizes, config.seed)
    slices = list(Reader(data, embeddings, "prostate", method.reads)(CASES))
    fit(method, slices * STEPS, slices, build_schedule(config, sizes), seed=config.seed)
    settings = build_settings(config.evaluation)
    scores = evaluate(method, slices, settings, partial(Loader, batch_size=4)).scores
    return {s.case: s.values["dice"] for s in scores if s.protocol == STRICT.name}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_overfits_two_cases(row: str, source: DataSource) -> None:
    found = dice_by_case(row, source)
    assert found.keys() == set(CASES)
    print(f"{row}: " + ", ".join(f"{dice:.3f}" for dice in found.values()))  # noqa: T201 - -s
    assert min(found.values()) > DICE


def test_one_epoch_is_not_enough(source: DataSource) -> None:
    """So the Dice above is learned, not given by the cases."""
    assert max(dice_by_case("unet", source, epochs=1).values()) < DICE
