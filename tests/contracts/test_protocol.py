"""What no row may do, shown through the real plan, stores and trainings: look at its test images.

Source: sources.md S4, S30.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from toy_cases import case_record, dataset_facts

from desam_model.types import Decision, Split
from sweeper.config.trial import TrialConfig
from sweeper.pipeline.data.sources import DataSource
from sweeper.plan.expand import make_plan
from sweeper.plan.job import TrainingJob
from sweeper.store.dataset.store import DatasetStore
from sweeper.store.dataset.writer import NewCase, write_dataset
from sweeper.store.ledger import TrainingFolder
from sweeper.store.workspace import Workspace
from sweeper.trial.run_trial import run_trial

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sweeper.plan.expand import Plan, Training

SITES = {"A": 4, "B": 4, "C": 5}
"""Patients by site: unequal, so that a fold too many or too few shows."""

SLICES = 2
IMAGE_METHODS = ["unet", "upper_bound", "advnoise", "advbias", "randconv", "mixstyle"]
IMAGE_METHODS += ["maxstyle", "csdg"]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> DatasetStore:
    cases, start = [], 0
    for site, patients in SITES.items():
        for number in range(patients):
            split = Split.VALIDATION if number == patients - 1 else Split.TRAIN
            cases.append(patient(f"{site}-{number}", site, split, start))
            start += SLICES
    facts = dataset_facts("three sites")
    return write_dataset(tmp_path_factory.mktemp("sites") / "sites.zarr", facts, cases)


def patient(name: str, site: str, split: Split, start: int) -> NewCase:
    label = np.zeros((SLICES, 32, 32), np.uint8)
    label[:, 10:20, 8:22] = 1
    noise = np.random.default_rng(start).integers(0, 100, (SLICES, 1, 32, 32), dtype=np.uint8)
    record = case_record(
        name,
        count=SLICES,
        px=32,
        domain=site,
        split=split,
        start=start,
        spacing_mm=(3.0, 1.0, 1.0),
    )
    return NewCase(record=record, image=noise + 100 * label[:, None], label=label)


def plan_of(dataset: DatasetStore, workspace: Path, method: dict[str, object]) -> Plan:
    network = {"width": 2, "stages": 3}
    trial = TrialConfig.model_validate(
        {
            "source": "A",
            "dataset": str(dataset.path),
            "method": {"network": network, **method},
            "training": {"epochs": 1, "batch_size": 4},
        }
    )
    return make_plan("protocol", [trial], DataSource(Workspace(workspace), None).facts)


def run(training: Training, root: Path) -> TrainingFolder:
    job = TrainingJob(
        train_id=training.train_id,
        identity=training.identity,
        config=training.config,
        evaluations={e.eval_id: e.config for e in training.evaluations},
        dataset=training.data.path,
        embeddings=None,
        folder=str(root / training.train_id),
        threads=1,
        owner="test",
    )
    assert run_trial(job, lambda _: Decision.CONTINUE)
    return TrainingFolder(root / training.train_id)


@pytest.fixture
def opened(monkeypatch) -> list[int]:
    """Indices of the slices whose image or label was read, in order; every read of the store."""
    indices: list[int] = []

    def watch(name, slices_of):
        read = getattr(DatasetStore, name)

        def watched(self, what):
            indices.extend(slices_of(what))
            return read(self, what)

        monkeypatch.setattr(DatasetStore, name, watched)

    for name in ("image", "label"):
        watch(name, lambda index: [index])
    for name in ("case_images", "case_labels"):
        watch(name, lambda case: range(case.start, case.start + case.count))
    return indices


def patients_of(dataset: DatasetStore, indices: list[int]) -> set[str]:
    by_slice = {c.start + k: c.case for c in dataset.cases for k in range(c.count)}
    return {by_slice[index] for index in indices}


@pytest.mark.parametrize("name", IMAGE_METHODS)
def test_no_test_image_is_opened_before_the_checkpoint_is_chosen(
    dataset, opened, monkeypatch, tmp_path, name
):
    before: list[set[str]] = []
    write = TrainingFolder.write

    def noted(self, what, values):
        if what == "fit":  # the checkpoint has been chosen; scoring begins after it
            before.append(patients_of(dataset, opened))
        write(self, what, values)

    monkeypatch.setattr(TrainingFolder, "write", noted)
    method = {"name": name} | ({"folds": 2} if name == "upper_bound" else {})
    training = plan_of(dataset, tmp_path, method).trainings[0]
    opened.clear()  # a plan reads no slices either, but is not what is asked here
    folder = run(training, tmp_path)
    fit = folder.fit()
    trained_on = {*fit["train_cases"], *fit["validation_cases"]}
    assert before == [trained_on]
    scored = {score["case"] for score in scores(folder)}
    assert scored - trained_on
    assert scored <= patients_of(dataset, opened)


def scores(folder: TrainingFolder) -> list[dict[str, object]]:
    (evaluation,) = (folder.path / "evaluations").iterdir()
    found = folder.evaluation(evaluation.name)
    return [s for s in found["scores"] if s["protocol"] == found["scores"][0]["protocol"]]


@pytest.mark.parametrize(
    ("variant", "tested", "models"),
    [("target_cv", "BC", 4), ("all_sites", "ABC", 2), ("source_cv", "A", 2)],
)
def test_every_test_patient_is_predicted_once_by_a_model_that_never_saw_it(
    dataset, opened, tmp_path, variant, tested, models
):
    plan = plan_of(dataset, tmp_path, {"name": "upper_bound", "variant": variant, "folds": 2})
    assert len(plan.trainings) == models
    predicted: Counter[str] = Counter()
    for training in plan.trainings:
        assert variant in training.config.name()
        folder = run(training, tmp_path)
        fit = folder.fit()
        (masks,) = folder.path.glob("evaluations/*/masks.npz")
        cases = set(np.load(masks).files)
        assert cases == {score["case"] for score in scores(folder)}
        assert not cases & {*fit["train_cases"], *fit["validation_cases"]}
        predicted.update(cases)
    expected = {c.case for site in tested for c in dataset.cases_of(site)}
    assert predicted == Counter(dict.fromkeys(expected, 1))
