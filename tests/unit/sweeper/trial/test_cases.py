"""Which cases a training sees: no patient on both sides, whatever was scanned twice."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from toy_cases import case_record, dataset_facts

from desam_model.types import Split
from sweeper.config.trial import TrialConfig
from sweeper.errors import DataError
from sweeper.store.dataset.writer import NewCase, write_dataset
from sweeper.trial.cases import choose_cases

if TYPE_CHECKING:
    from pathlib import Path

    from sweeper.store.dataset.store import DatasetStore


def store_of(path: Path, n_patients: int, scans: int = 2) -> DatasetStore:
    """A real store of one site, several scans per patient."""
    image = np.zeros((1, 1, 16, 16), np.uint8)
    cases = [
        NewCase(
            record=case_record(
                f"p{patient:02d}-scan{scan}", count=1, px=16, patient=f"p{patient:02d}"
            ),
            image=image,
            label=np.ones((1, 16, 16), np.uint8),
        )
        for patient in range(n_patients)
        for scan in range(scans)
    ]
    return write_dataset(path / "twice.zarr", dataset_facts("twice"), cases)


def patients(cases: tuple[str, ...]) -> set[str]:
    return {case.partition("-")[0] for case in cases}


def upper_bound(fold: int, folds: int = 5) -> TrialConfig:
    method = {"name": "upper_bound", "variant": "source_cv", "folds": folds}
    return TrialConfig(source="A", method=method, fold=fold)


def test_no_fold_has_a_patient_on_both_sides_and_every_scan_is_tested_once(tmp_path: Path) -> None:
    dataset = store_of(tmp_path, 12)
    tested = []
    for fold in range(5):
        cases = choose_cases(upper_bound(fold), dataset)
        sides = [patients(side) for side in (cases.train, cases.validation, cases.scored)]
        assert set.union(*sides) == {f"p{i:02d}" for i in range(12)}
        assert sum(map(len, sides)) == 12
        tested += cases.scored
    assert sorted(tested) == sorted(case.case for case in dataset.cases)


@pytest.mark.parametrize(("n", "folds", "validating"), [(30, 5, 3), (12, 5, 1), (3, 2, 1)])
def test_a_tenth_of_the_training_patients_chooses_the_epoch_of_an_upper_bound(
    tmp_path: Path, n: int, folds: int, validating: int
) -> None:
    cases = choose_cases(upper_bound(0, folds), store_of(tmp_path, n))
    assert len(patients(cases.validation)) == validating


def test_too_few_patients_for_the_folds_are_said_with_the_number(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="A has 4 patients, and 5 folds need 5"):
        choose_cases(upper_bound(0), store_of(tmp_path, 4))


def store_with_test_cases(path: Path, sites: str = "AB") -> DatasetStore:
    """In each site one case of every split."""
    image = np.zeros((1, 1, 16, 16), np.uint8)
    cases = [
        NewCase(
            record=case_record(f"{site}-{split}", count=1, px=16, domain=site, split=split),
            image=image,
            label=np.ones((1, 16, 16), np.uint8),
        )
        for site in sites
        for split in Split
    ]
    return write_dataset(path / "tested.zarr", dataset_facts("tested"), cases)


@pytest.mark.parametrize("source", ["A", "all"])
def test_test_cases_of_a_source_are_scored_only(tmp_path: Path, source: str) -> None:
    config = TrialConfig(source=source, method={"name": "unet"})
    cases = choose_cases(config, store_with_test_cases(tmp_path))
    sites = "A" if source == "A" else "AB"
    assert cases.train == tuple(f"{site}-train" for site in sites)
    assert cases.validation == tuple(f"{site}-validation" for site in sites)
    others = {f"B-{split}" for split in Split} if source == "A" else set()
    assert set(cases.scored) == {
        *(f"{site}-{split}" for site in sites for split in ("validation", "test")),
        *others,
    }


def test_several_sources_train_and_validate_on_each_and_see_no_case_of_a_target(tmp_path) -> None:
    config = TrialConfig(source=["C", "A"], method={"name": "unet"})
    cases = choose_cases(config, store_with_test_cases(tmp_path, sites="ABC"))
    assert set(cases.train) == {"A-train", "C-train"}
    assert set(cases.validation) == {"A-validation", "C-validation"}
    assert {case for case in cases.scored if case.startswith("B")} == {f"B-{s}" for s in Split}
    tested = [case for case in cases.scored if not case.startswith("B")]
    assert sorted(tested) == ["A-test", "A-validation", "C-test", "C-validation"]


def test_test_cases_are_in_no_fold_of_an_upper_bound(tmp_path: Path) -> None:
    store = store_of(tmp_path, 6, scans=1)
    image, label = store.case_images(store.cases[0]), store.case_labels(store.cases[0])
    records = [
        replace(record, split=Split.TEST if record.patient == "p03" else record.split)
        for record in store.cases
    ]
    cases = [NewCase(record=record, image=image, label=label) for record in records]
    tested = write_dataset(tmp_path / "t.zarr", dataset_facts("t"), cases)
    for fold in range(5):
        chosen = choose_cases(upper_bound(fold), tested)
        sides = (*chosen.train, *chosen.validation, *chosen.scored)
        assert sorted(patients(sides)) == ["p00", "p01", "p02", "p04", "p05"]


def test_patients_outlive_the_store_and_change_its_fingerprint(tmp_path: Path) -> None:
    twice = store_of(tmp_path / "a", 4)
    assert {record.patient for record in twice.cases} == {"p00", "p01", "p02", "p03"}
    (tmp_path / "b").mkdir()
    other = store_of(tmp_path / "b", 8, scans=1)
    assert twice.fingerprint != other.fingerprint
