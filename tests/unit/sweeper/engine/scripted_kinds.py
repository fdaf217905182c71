"""A planned training of a given batch size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.config.sweep import check_sweep
from sweeper.config.yaml_reader import parse_yaml
from sweeper.plan.expand import make_plan
from sweeper.plan.identity import DataFacts

if TYPE_CHECKING:
    from sweeper.plan.expand import Training


def training(batch_size: int) -> Training:
    """On a dataset that is nowhere."""
    facts = DataFacts(
        name="d",
        path="/d.zarr",
        fingerprint="f",
        is_synthetic=True,
        domains=("A", "B"),
        structures=("prostate",),
        cases={"A": ("a1",), "B": ("b1",)},
        slices={"A": 10, "B": 20},
        embedding_fingerprint="e",
        embeddings="/e.zarr",
    )
    space = (
        "name: t\ntrial:\n  source: A\n  method: {name: desam}\n"
        f"  training: {{batch_size: {batch_size}}}\n"
    )
    trials = check_sweep(parse_yaml(space)).trials
    return make_plan("t", trials, lambda _: facts).trainings[0]
