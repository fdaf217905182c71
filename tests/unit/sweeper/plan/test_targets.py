"""A cell that nothing is tested in is refused when it is planned, with what to write instead."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sweeper.config.trial import TrialConfig
from sweeper.errors import CellError
from sweeper.plan.expand import make_plan
from sweeper.plan.identity import DataFacts

FACTS = DataFacts(
    name="d",
    path="/somewhere/d.zarr",
    fingerprint="f" * 16,
    is_synthetic=True,
    domains=("A", "B"),
    structures=("prostate",),
    cases={d: (f"{d}1", f"{d}2") for d in "AB"},
    slices=dict.fromkeys("AB", 20),
)


def planned(facts: DataFacts = FACTS, **values) -> list[tuple[str, int | None]]:
    trial = TrialConfig(**{"method": {"name": "unet"}, **values})
    plan = make_plan("t", [trial], lambda _: facts)
    return [(t.config.source, t.config.fold) for t in plan.trainings]


def test_all_sources_together_leave_nothing_to_test_on() -> None:
    with pytest.raises(CellError) as refused:
        planned(source="all")
    words = str(refused.value)
    assert "source is 'all', which leaves no domain of 'd' to test on" in words
    assert "--set 'source={grid: leave_one_out}'" in words
    assert "upper_bound, variant all_sites" in words


def test_the_only_domain_of_a_dataset_has_no_target() -> None:
    with pytest.raises(CellError, match="source is 'A', the only domain of dataset 'd'"):
        planned(replace(FACTS, domains=("A",)), source="A")


def test_a_source_is_not_its_own_target() -> None:
    with pytest.raises(CellError, match=r"target is 'A', which is the source.*: B$"):
        planned(source="A", target="A")


def test_an_upper_bound_tests_held_out_patients_of_the_same_domains() -> None:
    method = {"name": "upper_bound", "variant": "all_sites", "folds": 2}
    assert planned(source="A", method=method) == [("all", 0), ("all", 1)]
    only = replace(FACTS, domains=("A",))
    method = {"name": "upper_bound", "variant": "source_cv", "folds": 2}
    assert planned(only, source="A", method=method) == [("A", 0), ("A", 1)]
