"""Every method learns: on the source's held-out case it beats the best constant mask."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from desam_model.evaluate import evaluate
from desam_model.fit import fit
from desam_model.types import ScoringProtocol
from sweeper.config.trial import TrialConfig
from sweeper.factory import build_method, build_schedule, build_settings
from sweeper.pipeline.datasets import DataSource
from sweeper.pipeline.display import Silent
from sweeper.store.dataset_store import DatasetStore
from sweeper.store.embedding_store import EmbeddingStore
from sweeper.store.workspace import Workspace
from sweeper.trial.cases import Reader, choose_cases, sizes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from desam_model.types import Slice

SMALL = {"width": 8, "input_px": 128}
IMAGE = {"epochs": 12, "batch_size": 2, "lr": 2.0e-3}
DECODER = {"epochs": 50, "batch_size": 4}
BUDGETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "unet": ({"network": SMALL}, IMAGE),
    "advnoise": ({"network": SMALL}, IMAGE),
    "advbias": ({"network": SMALL}, IMAGE),
    "mixstyle": ({"network": SMALL}, IMAGE),
    "maxstyle": ({"network": SMALL}, {**IMAGE, "epochs": 25}),
    "randconv": ({"network": SMALL}, {**IMAGE, "epochs": 60}),
    "csdg": ({"network": SMALL}, {**IMAGE, "epochs": 140}),
    "medsam": ({"prompt": "whole_box"}, {**DECODER, "epochs": 200}),
    "desam": ({"prompt_mode": "grid_points"}, DECODER),
}
"""By method its options and its training: the smallest budgets at which each was seen to learn."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> DataSource:
    workspace = Workspace.open(tmp_path_factory.mktemp("constant") / "workspace")
    return DataSource(workspace, Silent())


def dice(prediction: np.ndarray, reference: np.ndarray) -> float:
    return float(2 * (prediction & reference).sum() / (prediction.sum() + reference.sum()))


def by_case(slices: Sequence[Slice]) -> list[np.ndarray]:
    """References `(n, H, W)` bool, one a case."""
    cases: dict[str, list[np.ndarray]] = {}
    for one in slices:
        cases.setdefault(one.case, []).append(one.reference.numpy() > 0)
    return [np.stack(found) for found in cases.values()]


def best_constant_mask(train: Sequence[Slice]) -> np.ndarray:
    """The mask `(H, W)` for every slice: the mean training reference, cut where it serves best.

    The cut is the one with the highest mean Dice over the training cases, so that the constant
    has learned from the same cases as the method.
    """
    references = by_case(train)
    mean = np.mean([one.mean(axis=0) for one in references], axis=0)
    cuts = [mean > level for level in np.arange(0.05, 1.0, 0.05) if (mean > level).any()]
    return max(
        cuts, key=lambda cut: fmean(dice(np.broadcast_to(cut, r.shape), r) for r in references)
    )


@pytest.mark.parametrize(
    "name", ["unet", *(pytest.param(n, marks=pytest.mark.slow) for n in BUDGETS if n != "unet")]
)
def test_a_trained_method_beats_the_best_constant_mask(name: str, source: DataSource) -> None:
    options, training = BUDGETS[name]
    config = TrialConfig.model_validate(
        {
            "source": "A-ISBI",
            "structure": "prostate",
            "method": {"name": name, **options},
            "training": training,
            "seed": 0,
        }
    )
    facts = source.facts(config)
    data = DatasetStore.open(Path(facts.path))
    embeddings = EmbeddingStore.open(facts.embeddings) if facts.embeddings else None
    sizes = sizes_of(data, embeddings)
    method = build_method(config, sizes, config.seed)
    reader = Reader(data, embeddings, str(config.structure), method.reads)
    cases = choose_cases(config, data)
    train, held_out = reader(cases.train), reader(cases.validation)
    fit(method, train, held_out, build_schedule(config, sizes), seed=config.seed)

    constant = best_constant_mask(list(train))
    references = by_case(list(held_out))
    by_constant = fmean(dice(np.broadcast_to(constant, r.shape), r) for r in references)
    scores = evaluate(method, held_out, build_settings(config.evaluation)).scores
    by_method = fmean(s.dice for s in scores if s.protocol is ScoringProtocol.STRICT)
    print(f"{name}: {by_method:.3f}, constant mask {by_constant:.3f}")  # noqa: T201 - with -s
    assert by_method > by_constant > 0.3
