"""Cases for the store: sorted by their stored ids, and without names if they are salted."""

from __future__ import annotations

import fault_sources as sources
import numpy as np
import pytest

from sweeper.pipeline.data.importing import import_dataset
from sweeper.pipeline.data.options import ImportOptions


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    root = tmp_path_factory.mktemp("records")
    source = sources.saml(root / "src")
    return {
        salt: import_dataset(
            source, root / f"{salt}.zarr", ImportOptions(processes=1, salt=salt)
        ).store
        for salt in (None, "secret")
    }


def test_cases_are_sorted_by_domain_split_and_id(stores):
    for store in stores.values():
        keys = [(case.domain, case.split, case.case) for case in store.cases]
        assert keys == sorted(keys)
        assert [case.start for case in store.cases] == list(
            np.cumsum([0, *(case.count for case in store.cases)])[:-1]
        )


def test_files_are_named_relative_to_the_source(stores):
    case = stores[None].cases[0]
    assert case.image_file == "RUNMC/Case00.nii.gz"
    assert case.label_file == "RUNMC/Case00_segmentation.nii.gz"


def test_a_salted_case_has_no_name_of_the_source(stores):
    plain, salted = stores[None].cases, stores["secret"].cases
    assert {case.case for case in plain}.isdisjoint(case.case for case in salted)
    assert all("Case" not in case.case for case in salted)
    assert all(case.image_file == case.label_file == "" for case in salted)
    assert {case.source_hash for case in plain}.isdisjoint(case.source_hash for case in salted)


def test_a_salt_changes_no_slice(stores):
    def slices(store):
        return sorted(
            store.image(case.start + k).tobytes() for case in store.cases for k in range(case.count)
        )

    assert slices(stores[None]) == slices(stores["secret"])
