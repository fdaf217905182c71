"""A dataset that is nowhere, and trainings planned on it: for tests that never open a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.config.sweep import check_sweep
from sweeper.config.yaml_reader import parse_yaml
from sweeper.plan.expand import make_plan
from sweeper.plan.identity import DataFacts

if TYPE_CHECKING:
    from sweeper.plan.expand import Plan

FACTS = DataFacts(
    name="d",
    path="/d.zarr",
    fingerprint="f",
    is_synthetic=True,
    domains=("A", "B"),
    structures=("prostate",),
    cases={"A": ("a1", "a2"), "B": ("b1",)},
    slices={"A": 10, "B": 20},
    embedding_fingerprint="e",
    embeddings="/e.zarr",
)


def plan_of(space: str) -> Plan:
    """The plan of a space written as YAML, on the dataset that is nowhere."""
    return make_plan("t", check_sweep(parse_yaml(space)).trials, lambda _: FACTS)
